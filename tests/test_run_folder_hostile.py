"""Folders of runs that a stranger made: nothing outside is read or written, whatever they hold."""

import html.parser
import io
import json
import os
import shutil
import subprocess
import sys
import zipfile
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from conftest import JIT_OFF, ROOT, draw_no_figures, needs
from evaluations import config_of
from PIL import Image

import photodna_nb as pdna
from photodna_nb.evaluation import Results, compare, run, run_files

pytestmark = pytest.mark.skipif(JIT_OFF, reason="the same with or without JIT, but slowly")

SECONDS, MEGABYTES = 2, 500
SECRET = b"only for the owner of this machine\n"
# More would not fit on the disk of a usual machine; these take no space.
ENDLESS = 2**40


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A small run with suspected duplicates, an original that failed, and a report."""
    folder = tmp_path_factory.mktemp("finished")
    (folder / "photos").mkdir()
    for number, original in enumerate(pdna.datasets.dead_leaves(12, size=(64, 48))):
        original.open().save(folder / "photos" / f"{number}.png")
    shutil.copy(folder / "photos" / "1.png", folder / "photos" / "2.png")
    original.open().rotate(1).save(folder / "photos" / "3.png")
    (folder / "photos" / "bad.jpg").write_bytes(b"nothing")
    config = config_of(
        folder,
        originals={"kind": "directory", "path": "photos"},
        variants={"transforms": ["jpeg:10", "mirror"]},
        pairs={"count_identical": True},
        deployment={"list_size": 10, "queries_per_day": 2, "max_false_matches_per_day": 10},
    )
    with pytest.MonkeyPatch.context() as patch:
        draw_no_figures(patch)
        pdna.report.write(run(config, folder / "run"))
    return folder / "run"


def replace(folder, name, content):
    """Give a file of a run other content, and its digest to the manifest."""
    path = folder / name
    if path.is_symlink() or path.exists():
        path.unlink()
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    with_manifest(folder, lambda manifest: manifest["results"].update({name: digest_of(content)}))


def digest_of(content):
    return sha256(content).hexdigest()


def with_manifest(folder, change):
    manifest = json.loads((folder / "manifest.json").read_bytes())
    manifest.pop("digest", None)  # as earlier versions wrote it
    change(manifest)
    (folder / "manifest.json").write_text(json.dumps(manifest))


def with_results(folder, change):
    results = json.loads((folder / "results.json").read_bytes())
    change(results)
    replace(folder, "results.json", json.dumps(results).encode("ascii"))


def thumbnail_named(name):
    def change(folder, _):
        with_results(
            folder, lambda results: results["tables"]["nearest_impostors"][0].update(thumbnail=name)
        )

    return change


def listed(name, part="results"):
    def change(folder, outside):
        target = name.format(outside=outside)
        with_manifest(folder, lambda values: values[part].update({target: digest_of(SECRET)}))

    return change


def linked(name):
    """Replace a file or folder of the run by a link to a copy outside of it."""

    def change(folder, outside):
        target, path = outside / Path(name).name, folder / name
        if path.exists():
            shutil.move(path, target)
        else:
            target.write_bytes(SECRET)
        path.symlink_to(target)

    return change


def device(name):
    def change(folder, _):
        (folder / name).unlink()
        (folder / name).symlink_to("/dev/zero")

    return change


def pipe(folder, _):
    (folder / "counts.npz").unlink()
    os.mkfifo(folder / "counts.npz")


def large(name, size=ENDLESS):
    def change(folder, _):
        with (folder / name).open("r+b") as file:
            file.truncate(size)

    return change


def content(name, value):
    return lambda folder, _: replace(folder, name, value(folder))


def changed_array(name, member, change, **options):
    def changed(folder, _):
        with np.load(folder / name) as members:
            arrays = dict(members)
        arrays[member] = change(arrays[member])
        packed = io.BytesIO()
        options.get("save", np.savez)(packed, **arrays)
        replace(folder, name, packed.getvalue())

    return changed


def array_of_terabytes(folder, _):
    """Give an array a header that announces far more values than follow."""
    packed = io.BytesIO()
    with zipfile.ZipFile(folder / "counts.npz") as before, zipfile.ZipFile(packed, "w") as after:
        for name in before.namelist():
            array = before.read(name)
            if name == "detail.npy":
                header = io.BytesIO()
                shape = {"descr": "<f8", "fortran_order": False, "shape": (2**42,)}
                np.lib.format.write_array_header_1_0(header, shape)
                array = header.getvalue() + array
            after.writestr(name, array)
    replace(folder, "counts.npz", packed.getvalue())


def first_thumbnail(value):
    def change(folder, _):
        results = json.loads((folder / "results.json").read_bytes())
        replace(folder, results["tables"]["nearest_impostors"][0]["thumbnail"], value)

    return change


def jpeg(side):
    image = io.BytesIO()
    Image.new("L", (side, side)).save(image, "JPEG")
    return image.getvalue()


def manifest_text(text):
    return lambda folder, _: (folder / "manifest.json").write_text(text)


def values_of(table, **values):
    return lambda folder, _: with_results(
        folder, lambda results: results["tables"][table][0].update(values)
    )


def without(*place):
    def change(values):
        for key in place[:-1]:
            values = values[key]
        del values[place[-1]]

    return lambda folder, _: with_results(folder, change)


HOSTILE = {
    "a thumbnail above": thumbnail_named("../outside/secret.txt"),
    "an absolute thumbnail": thumbnail_named("/etc/passwd"),
    "a thumbnail that is a device": thumbnail_named("/dev/zero"),
    "a thumbnail that is a script": first_thumbnail(b"<script>alert(1)</script>"),
    "a thumbnail that is SVG": first_thumbnail(b'<svg xmlns="http://www.w3.org/2000/svg"/>'),
    "a thumbnail of many pixels": first_thumbnail(jpeg(12_000)),
    "a result above": listed("../outside/secret.txt"),
    "a result below": listed("tables/../../outside/secret.txt"),
    "an absolute figure": listed("{outside}/secret.txt", "report"),
    "linked figures": linked("figures"),
    "linked thumbnails": linked("thumbnails"),
    "linked tables": linked("tables"),
    "a linked manifest": linked("manifest.json"),
    "linked results": linked("results.json"),
    "a linked page": linked("report.html"),
    "a linked lock": linked(".lock"),
    "a linked journal": linked("journal.jsonl"),
    "a pipe": pipe,
    "a device": device("hashes.npz"),
    "a manifest that is a device": device("manifest.json"),
    "an endless manifest": large("manifest.json"),
    "endless results": large("results.json"),
    "endless hashes": large("hashes.npz"),
    "zeros": content("results.json", lambda _: bytes(2**26)),
    "an empty manifest": manifest_text(""),
    "empty results": content("results.json", lambda _: b""),
    "empty counts": content("counts.npz", lambda _: b""),
    "a list": manifest_text("[]"),
    "nested lists": content("results.json", lambda _: b"[" * 10**6),
    "nested objects": manifest_text('{"schema": 4, "x": ' + '{"x": ' * 10**6),
    "many lists": manifest_text('{"schema": 4, "x": [' + "[], " * 10**7 + "[]]}"),
    "many numbers": content(
        "results.json", lambda _: b'{"schema": 4, "summary": [' + b"0," * 2 * 10**7 + b"0]}"
    ),
    "compressed zeros": changed_array(
        "counts.npz", "detail", lambda _: np.zeros(2**28), save=np.savez_compressed
    ),
    "an array of terabytes": array_of_terabytes,
    "counts of other originals": changed_array("counts.npz", "names", lambda names: names[::-1]),
    "rows beyond the end": changed_array("counts.npz", "nearest_i", lambda rows: rows + 1000),
    "pairs that were not counted": changed_array(
        "counts.npz", "nearest_distance_squared", lambda squared: np.sort(squared // 2)
    ),
    "an original with itself": changed_array("counts.npz", "nearest_i", np.zeros_like),
    "other halves": changed_array("counts.npz", "in_validation_half", np.logical_not),
    "negative counts": changed_array("counts.npz", "impostor_originals", lambda counts: counts - 1),
    "counts of another shape": changed_array("counts.npz", "compared", lambda rows: rows[:-1]),
    "counts of objects": changed_array("counts.npz", "detail", lambda rows: rows.astype(object)),
    "a text for a number": values_of("thresholds", recall="<script>"),
    "a number for a text": values_of("suspected_duplicates", original=7),
    "a list for a row": lambda folder, _: with_results(
        folder, lambda results: results["tables"]["recall"].insert(0, [])
    ),
    "no rows": lambda folder, _: with_results(
        folder, lambda results: results["tables"]["curves"].clear()
    ),
    "no column": without("tables", "detail", 0, "proportion"),
    "no summary": without("summary"),
    "no deployment": without("tables", "deployment", 0),
    "not a number": values_of("deployment", expected_matches_per_day_upper=float("nan")),
    "infinity": values_of("deployment", comparisons_per_day=float("inf")),
    "a number of a thousand digits": values_of("transforms", failed=10**1000),
    "a threshold of nowhere": values_of("deployment", threshold=9, source="none"),
    "an influential original of nowhere": values_of("influence", original="nobody"),
    "an unknown transform": values_of("nearest_impostors", transform="__import__:1"),
}

CHILD = """
import json, os, re, sys, time
from pathlib import Path

import photodna_nb as pdna
from photodna_nb.evaluation import Results, compare

top, good = sys.argv[1:]
good = Results.load(good)
compare(good, good)
pdna.report.recommend(good)
opened = []
hook = lambda event, values: opened.append(values[0]) if event == "open" else None
sys.addaudithook(hook)
answers = {}


def kilobytes(name):
    # Elsewhere than on Linux nobody knows.
    status = Path("/proc/self/status")
    return int(re.search(rf"{name}:\\s*(\\d+)", status.read_text())[1]) if status.exists() else 0


for name in sorted(os.listdir(top)):
    before = kilobytes("VmRSS")
    if before:
        Path("/proc/self/clear_refs").write_text("5")  # VmHWM begins anew
    run, answer = f"{top}/{name}/run", {}
    for word, call in (
        ("load", lambda: Results.load(run)),
        ("report", lambda: pdna.report.write(run)),
        ("compare", lambda: compare(good, run)),
    ):
        started = time.process_time()
        try:
            call()
            answer[word] = None
        except pdna.PhotodnaError as error:
            answer[word] = str(error)
        answer[f"{word} seconds"] = time.process_time() - started
    answer["megabytes"] = (kilobytes("VmHWM") - before) / 1024
    outside = os.path.realpath(f"{top}/{name}/outside")
    answer["opened"] = [
        str(path) for path in opened
        if isinstance(path, str | bytes) and os.path.realpath(os.fsdecode(path)).startswith(
            (outside, "/dev/zero", "/etc/passwd"))
    ]
    opened.clear()
    answers[name] = answer
print(json.dumps(answers))
"""


def files_in(folder):
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@needs("named pipes", "devices")
@pytest.mark.long
def test_hostile_folders(finished, tmp_path):
    """Each is refused, at the latest before anything is written, within the limits.

    Seconds are those of the processor: others may be busy with the tests beside this one.
    """
    outside = {}
    for name, change in HOSTILE.items():
        place = tmp_path / "runs" / name
        shutil.copytree(finished, place / "run")
        (place / "outside").mkdir()
        (place / "outside" / "secret.txt").write_bytes(SECRET)
        change(place / "run", place / "outside")
        outside[name] = files_in(place / "outside")
    command = [sys.executable, "-c", CHILD, tmp_path / "runs", finished]
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=ROOT, check=False, timeout=600
    )
    assert done.returncode == 0, done.stderr
    answers = json.loads(done.stdout)
    if os.environ.get("SHOW"):
        print(json.dumps(answers, indent=0))
    assert len(answers) == len(HOSTILE) >= 20
    for name, answer in answers.items():
        assert answer["report"], f"{name}: a report was written"
        assert answer["opened"] == [], name
        assert files_in(tmp_path / "runs" / name / "outside") == outside[name], name
        for word in ("load", "report", "compare"):
            assert answer[f"{word} seconds"] < SECONDS, (name, word)
        assert answer["megabytes"] < MEGABYTES, name
    only_when_written = {"a linked lock", "a linked journal"}
    assert {name for name, answer in answers.items() if not answer["load"]} == only_when_written


def test_hashes_of_another_shape(finished, tmp_path):
    shutil.copytree(finished, tmp_path / "run")
    changed_array("hashes.npz", "variants", lambda hashes: hashes[:, :1])(tmp_path / "run", None)
    with pytest.raises(pdna.FileError, match=r"hashes.npz: is damaged .*variants: has 1 rows"):
        compare(finished, tmp_path / "run")


def test_a_run_goes_through_no_link(finished, tmp_path):
    """Another run in the folder replaces and deletes nothing outside of it."""
    config = Results.load(finished).config
    for name in (
        "figures",
        "tables",
        "thumbnails",
        "results.json",
        "counts.npz",
        "run.json",
        ".lock",
    ):
        place = tmp_path / name.strip(".")
        shutil.copytree(finished, place / "run")
        (place / "outside").mkdir()
        linked(name)(place / "run", place / "outside")
        before = files_in(place / "outside")
        with pytest.raises(pdna.FileError, match=r"is a link|is no regular file"):
            run(config, place / "run")
        assert files_in(place / "outside") == before


def test_only_own_files_are_deleted(finished, tmp_path, no_figures):
    """A file of the user stays, also if a manifest names it."""
    shutil.copytree(finished, tmp_path / "run")
    mine = tmp_path / "run" / "figures" / "holiday.png"
    mine.write_bytes(b"mine")
    listing = {"figures/holiday.png": digest_of(b"not mine")}
    with_manifest(tmp_path / "run", lambda manifest: manifest["report"].update(listing))
    results = Results.load(finished)
    object.__setattr__(results, "run_dir", str(tmp_path / "run"))
    pdna.report.write(results)
    assert mine.read_bytes() == b"mine"


def test_sizes_grow_with_the_originals():
    """A run over a million originals is not too large for its own limit."""
    n, v = 10**6, 60
    hashes, counts = n * (v + 1) * 153, n * v * 8
    assert hashes + counts < run_files.largest_total(n, v) < 2**40


# Texts


class Tags(html.parser.HTMLParser):
    """Tags of a page with their attributes."""

    def __init__(self, text):
        super().__init__()
        self.found = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))


HOSTILE_TEXT = (
    '"><script>alert(1)</script><img src=x onerror=alert(1)><a href="javascript:alert(1)">'
    "</style><style>*{display:none}</style>{{ 7 * 7 }}{% raw %}' onload='alert(1)\x1b[31m\u202e"
)


def places_of_texts(values, place=()):
    """Yield where the texts of a JSON file are; of a list, those of the first item."""
    if isinstance(values, str):
        yield place
    elif isinstance(values, dict):
        for key, value in values.items():
            yield from places_of_texts(value, (*place, key))
    elif isinstance(values, list) and values:
        yield from places_of_texts(values[0], (*place, 0))


def with_text(values, place):
    *parents, key = place
    for name in parents:
        values = values[name]
    values[key] = HOSTILE_TEXT


@pytest.mark.long
def test_texts_are_shown_and_not_obeyed(finished, tmp_path):
    """Every text of the results and the manifest that a page may show."""
    folder = tmp_path / "run"
    shutil.copytree(finished, folder)
    accepted = []
    for name, change in (("results.json", with_results), ("manifest.json", with_manifest)):
        for place in places_of_texts(json.loads((folder / name).read_bytes())):
            before = files_in(folder)
            change(folder, lambda values, place=place: with_text(values, place))
            try:
                Results.load(folder)
                accepted.append(place)
            except pdna.FileError:
                for path, content in before.items():
                    path.write_bytes(content)
    columns = {place[-1] for place in accepted}
    assert {"error", "reason", "photodna_nb", "original"} <= columns
    page = Path(pdna.report.write(folder)).read_text(encoding="utf-8")
    tags = Tags(page).found
    assert "alert(1)" in page
    assert "\x1b" not in page
    assert "\u202e" not in page
    assert "49" not in page.partition("{{")[2][:20]
    assert [tag for tag, _ in tags].count("style") == 1
    assert not {"script", "a", "iframe", "object", "link"} & {tag for tag, _ in tags}
    for tag, attributes in tags:
        assert not [key for key in attributes if key.startswith("on")]
        assert tag != "img" or attributes["src"].startswith(
            ("data:image/png;base64,", "data:image/jpeg;base64,")
        )
