"""What the command line says of itself."""

from __future__ import annotations

PROGRAM = "photodna-nb"
TOP_K = 10
USAGE = f"usage: {PROGRAM} MODE [options]"

HELP = f"""\
{USAGE}

PhotoDNA-like perceptual hashes (144 bytes an image): compute them, compare two
images, search a local FAISS index. Not affiliated with PhotoDNA or Microsoft.

modes, exactly one a call:
  --hash IMAGE
        print the 144 values, comma-separated, on one line
  --hash-dir DIRECTORY
        print a JSON list of the hashes of the files in DIRECTORY, by file name;
        sub-directories are skipped, unless --recursive is given
  --files-from FILE
        print the same list of the images whose paths are in FILE, or on standard
        input if FILE is -: a path a line, or ended by NUL characters (find -print0)
  --compare IMAGE1 IMAGE2
        print the distance and the similarity of two images
  --faiss-build INDEX META IMAGE [IMAGE ...]
        make a new index in two files: INDEX for FAISS, META with ids, paths and
        hashes, as JSON or, if its name ends with .sqlite or .db, in an SQLite
        database, which is the better choice from some ten thousand images on
  --faiss-add INDEX META IMAGE [IMAGE ...]
        append images to an index; those that are indexed already are skipped
  --faiss-query INDEX META QUERY_IMAGE [QUERY_IMAGE ...] [TOP_K]
        print the TOP_K (default {TOP_K}) closest matches of each query that keep the
        limits. These three take --files-from FILE in place of images, or with them
  --faiss-list INDEX META
        print the id and the path of each image in an index
  --faiss-remove INDEX META ITEM [ITEM ...]
        remove images from an index, by their ids or paths (a file called 17 is ./17)
  --faiss-verify INDEX META
        read all of both files, and fail if anything in them is damaged
  --faiss-rebuild INDEX META
        write INDEX anew from META, when INDEX is lost, damaged or out of step, or is
        to be of another --index-type
  --faiss-convert INDEX META NEW_INDEX NEW_META
        copy an index with its ids into two new files: from JSON to SQLite, or back,
        or to another --index-type
  --evaluate CONFIG RUN_DIR
        find out which threshold fits your pictures: edit and hash the originals that
        the TOML file CONFIG names, count all pairs, and write tables, counts and
        report.html into the folder RUN_DIR. A run that was stopped goes on there; with
        other thresholds nothing is hashed again
  --evaluate-example
        print a commented CONFIG, over drawn pictures, to start from
  --compare-runs RUN_DIR1 RUN_DIR2
        print what changed between two evaluations, with another Pillow or of other
        pictures, and which of their conclusions differ significantly
  --version
        print the version, and those of Python, NumPy, Numba, Pillow and FAISS
  -h, --help
        print this

options:
  --jobs N
        how many images are read at once (default: the number of processors)
  --recursive
        with --hash-dir: go down into sub-directories
  --output FILE
        with --hash-dir and --files-from: write FILE, once all is done, instead of
        printing; its suffix is .json, .csv, .npz or .parquet
  --resume
        with --output: keep every hash in FILE.journal as soon as it is made, and go on
        from there when the same call was stopped; only what is missing or has changed
        is hashed
  --detail
        with --hash, --hash-dir and --files-from: print as well how much there is to
        see in each image, in grey levels; tables hold it in any case, but for .csv
  --metric {{euclidean,manhattan}}
        with --compare: the distance that is printed (default euclidean)
  --min-similarity S
        with --faiss-query: only matches with a similarity of S or more, 0 to 1
  --max-distance D
        with --faiss-query: only matches at an L2 distance of D or less
  --min-detail D
        with --faiss-query: only queries and matches with a detail of D grey levels
        or more. Photographs have 600 to 6000; flat pictures with next to none lie
        close to each other whatever they show, so that a match says nothing. Below
        100 they are marked in any case. Images whose detail is not known, of other
        programs, pass
  --orientations
        with --faiss-query: look for each query mirrored and turned as well, in all
        eight ways; each image is one match, with the way that is closest.
        With --compare: the closest of the eight ways to turn IMAGE1
  --nprobe N
        with --faiss-query: how many lists of an approximate index are looked into,
        instead of as many as its recall was measured with
  --json
        with --faiss-query and --faiss-list: print a JSON list; with --compare-runs:
        all that was compared, as one JSON object
  --index-type {{flat,uint8,ivf}}
        with --faiss-build, --faiss-rebuild and --faiss-convert: what INDEX is. flat
        (default): float32, which oaphotodna.py reads. uint8: a quarter of its size,
        and as exact. ivf: APPROXIMATE, for tens of millions of images; a query looks
        into some lists alone, and what share of the true answers that finds is
        measured and printed
  --overwrite
        with --faiss-build and --faiss-convert: replace an index that exists
  --max-pixels N
        the largest image that is read, in pixels (default 89478485); larger
        ones may be decompression bombs and are refused

examples:
  {PROGRAM} --hash photo.jpg
  {PROGRAM} --hash-dir photos > hashes.json
  {PROGRAM} --hash-dir photos --recursive --output hashes.csv --resume
  find photos -name '*.jpg' -print0 | {PROGRAM} --files-from - --jobs 4
  {PROGRAM} --compare a.jpg b.jpg
  {PROGRAM} --compare a.jpg b.jpg --metric manhattan
  {PROGRAM} --faiss-build index.faiss meta.json photos/*.jpg
  {PROGRAM} --faiss-add index.faiss meta.json new1.jpg new2.jpg
  {PROGRAM} --faiss-query index.faiss meta.json query.jpg 20 --max-distance 100
  {PROGRAM} --faiss-query index.faiss meta.json q1.jpg q2.jpg --orientations --json
  {PROGRAM} --faiss-list index.faiss meta.json
  {PROGRAM} --faiss-remove index.faiss meta.json 17 /data/photos/old.jpg
  {PROGRAM} --faiss-verify index.faiss meta.json
  {PROGRAM} --faiss-rebuild index.faiss meta.json
  {PROGRAM} --faiss-convert index.faiss meta.json big.faiss meta.sqlite --index-type uint8
  {PROGRAM} --evaluate-example > evaluation.toml
  {PROGRAM} --evaluate evaluation.toml run
  {PROGRAM} --compare-runs run run-with-new-pillow

Similarity is 1 - L2 distance / 3060. Two unrelated photographs score about 0.70
and lie about 900 apart; resized or recompressed copies mostly lie within 100.
Both limits are inclusive and exact; if both are given, a match must satisfy both.
Matches are ordered by distance, then id.

The first call compiles the kernels into a cache: NUMBA_CACHE_DIR, or else a folder
beside the package or the user's cache folder, whichever can be written.

A file name that begins with a dash is written ./-name.jpg. Names are printed
with control characters escaped; JSON holds them unchanged.

exit status: 0 all good; 1 something failed, named on standard error (one bad
image does not spoil the rest); 2 wrong usage.
"""
