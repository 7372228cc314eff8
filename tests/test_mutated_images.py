"""Altered image files, a few of those of `mutated_images.py`, and that it notices what is wrong."""

import itertools

import mutated_images
import pytest
from conftest import JIT_OFF, needs, scaled
from mutated_images import compare, mutated, originals, outcome

pytestmark = pytest.mark.skipif(JIT_OFF, reason="the same files with or without JIT, but slowly")


@needs("limits of memory")
@pytest.mark.long
@pytest.mark.scaled
def test_mutated_images(tmp_path):
    number = scaled(72, 3000)
    results = compare(number, seed=16, keep=tmp_path)
    assert results.wrong == []
    assert sum(results.formats.values()) == number
    assert results.formats.total() == number
    kinds = {kind for _, kind in results.formats}
    assert {"same hash", "both refuse"} <= kinds


@pytest.mark.long
def test_many_formats_are_altered_and_the_same_files_every_time():
    assert len(originals()) >= 20
    assert {"PNG", "JPEG", "GIF", "TIFF", "WEBP", "AVIF", "BMP", "ICO"} <= {*originals()}
    first = [mutated(number, 1) for number in range(60)]
    assert [mutated(number, 1) for number in range(60)] == first
    assert [mutated(number, 2) for number in range(60)] != first
    changed = [
        picture
        for picture in first
        if picture.content not in {one.content for one in originals()[picture.format]}
    ]
    assert len(changed) > 50
    used = set(itertools.chain.from_iterable(picture.alterations for picture in first))
    assert used == {alteration.__name__[1:] for alteration in mutated_images.ALTERATIONS}


@pytest.mark.parametrize(
    ("package", "reference", "expected"),
    [
        ({"hash": [1]}, {"hash": [1]}, "same hash"),
        ({"hash": [1]}, {"hash": [2]}, "wrong: another hash"),
        ({"refused": "x"}, {"hash": [2]}, "wrong: refused here only (x)"),
        ({"refused": "x"}, {"refused": "y"}, "both refuse"),
        ({"hash": [1]}, {"refused": "y"}, "hashed here only"),
        ({"hash": [1], "printed": True}, {"hash": [1]}, "wrong: writes to standard error"),
        ({"wrong": "ends with -11"}, {"wrong": "ends with -11"}, "wrong: ends with -11"),
        ({"hash": [1]}, {"wrong": "hangs"}, "the reference fails"),
    ],
)
def test_what_is_wrong(package, reference, expected):
    assert outcome(package, reference) == expected


# Put before the script: what a child does wrong.
FAULTS = {
    "ends with -9": "os.kill(os.getpid(), 9)",
    "hangs": "\n        while True: pass",
    "raises SystemExit: 3": "raise SystemExit(3)",
    "raises KeyError: 'a'": "{}['a']",
    "raises MemoryError: ": "bytes(1 << 40)",
    "writes to standard error": "os.write(2, b'message')",
}


@needs("limits of memory")
@pytest.mark.long
@pytest.mark.parametrize("fault", FAULTS)
def test_what_a_child_does_wrong_is_noticed(tmp_path, monkeypatch, fault):
    """A copy of the script whose child does it, in place of hashing or before it."""
    source = mutated_images.ROOT.joinpath("tests/mutated_images.py").read_text("utf-8")
    source = source.replace("= 20, 300,", "= 1, 60,")
    before = "def _hash_of_package(path: str) -> dict[str, Any]:\n"
    assert source.count(before) == 1
    script = tmp_path / "script.py"
    script.write_text(source.replace(before, f"{before}    if True:\n        {FAULTS[fault]}\n"))
    monkeypatch.setattr(mutated_images, "__file__", str(script))
    monkeypatch.syspath_prepend(str(mutated_images.ROOT / "tests"))
    wrong = compare(2, keep=tmp_path / "kept").wrong
    assert len(wrong) == 2
    assert all(line.endswith(f"wrong: {fault}") for line in wrong), wrong
    assert len(list((tmp_path / "kept").iterdir())) == 2
