"""The text of ``--help``."""

from __future__ import annotations

PROGRAM = "photodna-nb"
TOP_K = 10
USAGE = f"usage: {PROGRAM} MODE [options]"

HELP = f"""\
{USAGE}

PhotoDNA-like perceptual hashes (144 bytes an image): compute them, compare two
images, search a local FAISS index. Not affiliated with PhotoDNA or Microsoft.

modes; each call has exactly one:
  --hash IMAGE
        print the 144 values, comma-separated, on one line
  --hash-dir DIRECTORY
        print a JSON list of the hashes of the files in DIRECTORY, sorted by file
        name; sub-directories are skipped, unless --recursive is given
  --files-from FILE
        print the same list for the images whose paths are listed in FILE, or on
        standard input if FILE is -. Each path is on a line of its own or ends with a
        NUL character (find -print0)
  --compare IMAGE1 IMAGE2
        print the distance and the similarity of two images
  --faiss-build INDEX META IMAGE [IMAGE ...]
        build a new index in two files. INDEX is a FAISS index. META holds ids, paths
        and hashes as JSON or, if its name ends with .sqlite or .db, in an SQLite
        database: choose that for more than ten thousand images
  --faiss-add INDEX META IMAGE [IMAGE ...]
        add images to an index; those that are indexed already are skipped
  --faiss-query INDEX META QUERY_IMAGE [QUERY_IMAGE ...] [TOP_K]
        print the TOP_K (default {TOP_K}) nearest matches of each query within the
        limits. --faiss-build, --faiss-add and --faiss-query also take the images that
        --files-from FILE lists
  --faiss-list INDEX META
        print the id and the path of each image in an index
  --faiss-remove INDEX META ITEM [ITEM ...]
        remove images from an index, by their ids or paths (a file called 17 is ./17)
  --faiss-verify INDEX META
        read all of both files, and fail if anything in them is damaged
  --faiss-rebuild INDEX META
        write INDEX again from META, if INDEX is lost or damaged, does not belong to
        META, or should have another --index-type
  --faiss-convert INDEX META NEW_INDEX NEW_META
        copy an index with its ids into two new files, for example from JSON to
        SQLite, or to another --index-type
  --evaluate CONFIG RUN_DIR
        find a threshold for your images: transform and hash the originals that the
        TOML file CONFIG names, count the distances of all pairs, and write tables,
        counts and report.html into the folder RUN_DIR. The same call continues a run
        that was stopped, and hashes nothing again if only thresholds have changed
  --evaluate-example
        print a CONFIG with comments, for generated images, to start from
  --compare-runs RUN_DIR1 RUN_DIR2
        print what changed between two evaluations, for example with two versions of
        Pillow, and which of their conclusions differ significantly
  --version
        print the versions of this program, Python, NumPy, Numba, Pillow and FAISS
  -h, --help
        print this help

options:
  --jobs N
        how many images are read at once (default: the number of processors)
  --recursive
        with --hash-dir: hash the files in sub-directories as well
  --output FILE
        with --hash-dir and --files-from: write a table to FILE at the end instead of
        printing; the suffix is .json, .csv, .npz or .parquet
  --resume
        with --output: append each hash to FILE.journal as soon as it is computed. If
        the call is stopped, the same call hashes only the files that are missing there
        or have changed
  --detail
        with --hash, --hash-dir and --files-from: also print the detail of each image,
        in grey levels; tables always hold it, except .csv
  --metric {{euclidean,manhattan}}
        with --compare: the distance to print (default euclidean)
  --min-similarity S
        with --faiss-query: only matches with a similarity of S or more, 0 to 1
  --max-distance D
        with --faiss-query: only matches at an L2 distance of D or less
  --min-detail D
        with --faiss-query: only queries and matches with a detail of D grey levels
        or more. Photographs have 600 to 6000. Flat images have little detail, and
        their hashes are near each other whatever they show; a detail below 100 is
        always marked. Images of unknown detail, from other programs, are not excluded
  --orientations
        with --faiss-query: search for each query in all eight orientations (mirrored
        and rotated); each image is one match, in its nearest orientation.
        With --compare: the nearest of the eight orientations of IMAGE1
  --nprobe N
        with --faiss-query: how many lists of an IVF index are searched, instead of
        as many as its recall was measured with
  --ef-search N
        with --faiss-query: how many candidates the graph of an HNSW index holds,
        instead of as many as its recall was measured with
  --json
        with --faiss-query and --faiss-list: print a JSON list; with --compare-runs:
        the whole comparison, as one JSON object
  --index-type TYPE
        with --faiss-build, --faiss-rebuild and --faiss-convert: the type of INDEX.
        flat (default): float32, which oaphotodna.py reads. uint8: a quarter of its
        size, and as exact. IVF4096,SQ8 or HNSW32 and others of these two families of
        FAISS: APPROXIMATE, for millions of images; the share of the true answers
        that a query finds is measured and printed
  --overwrite
        with --faiss-build and --faiss-convert: replace an index that exists
  --max-pixels N
        the largest image to read, in pixels (default 89478485); larger images may be
        decompression bombs and are refused

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

Similarity is 1 - L2 distance / 3060. The distance of two unrelated photographs is
about 900, their similarity about 0.70; resized or recompressed copies are mostly
within 100. Limits are inclusive and exact; a match must satisfy all limits given.
Matches are ordered by distance, then id.

The first call compiles the kernels into a cache: NUMBA_CACHE_DIR, or else a folder
beside the package or the user's cache folder, whichever can be written.

A file name that begins with a dash is written ./-name.jpg. Names are printed
with control characters escaped; JSON holds them unchanged.

exit status: 0 if all is good; 1 if something failed, which is named on standard
error (a bad image does not stop the others); 2 for wrong usage.
"""
