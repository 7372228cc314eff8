"""Folders, image files and tables of hashes as input: what counts as an image, and each once."""

import os
import shutil

import numpy as np
import pytest
from conftest import AVAILABLE, needs
from PIL import Image

import photodna_nb as pdna
from photodna_nb.errors import ImageError

pytestmark = pytest.mark.filterwarnings("ignore::photodna_nb.LowDetailWarning")


def draw(path, seed, size=(40, 30)):
    path.parent.mkdir(parents=True, exist_ok=True)
    width, height = size
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    Image.fromarray(pixels).save(path)
    return str(path)


@pytest.fixture
def folder(tmp_path):
    """Return a folder with all that people have beside their images."""
    top = tmp_path / "top"
    draw(top / "b.png", 1)
    draw(top / "a.jpg", 2, (60, 20))
    draw(top / "below" / "c.png", 3)
    draw(top / ".cache" / "d.png", 4)
    draw(top / "._b.png", 5)
    (top / "link.png").symlink_to(top / "b.png")
    (top / "circle").symlink_to(top)
    (top / "notes.txt").write_text("no image")
    (top / "Thumbs.db").write_bytes(b"\xd0\xcf\x11\xe0")
    (top / "empty").touch()
    (top / "film.mp4").write_bytes(b"\0\0\0\x18ftypmp42" + bytes(30))
    (top / "scan.pdf").write_bytes(b"%PDF-1.7\n")
    if AVAILABLE["named pipes"]:
        os.mkfifo(top / "pipe")
    return top


SKIPPED = {
    "hidden": 2,
    "named twice": 1,
    "not an image": 2,
    "empty": 1,
    "video": 1,
    "PDF document": 1,
} | ({"no regular file": 1} if AVAILABLE["named pipes"] else {})


def test_the_images_of_a_folder_are_hashed_and_all_else_is_counted(folder):
    table = pdna.hash_directory(folder)
    names = ["a.jpg", "b.png", "below/c.png"]
    assert table.paths == [str(folder / name) for name in names]
    assert (table.hashes == [pdna.hash_file(path) for path in table.paths]).all()
    assert table.image_size.tolist() == [[60, 20], [40, 30], [40, 30]]
    status = [os.stat(path) for path in table.paths]
    assert table.file_status.tolist() == [[one.st_size, one.st_mtime_ns] for one in status]
    assert (table.skipped, table.failures) == (SKIPPED, [])


def test_only_the_folder_itself_is_hashed_if_asked_for(folder):
    table = pdna.hash_directory(folder, recursive=False)
    assert table.paths == [str(folder / "a.jpg"), str(folder / "b.png")]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("cut.png", b"\x89PNG\r\n\x1a\n\0\0"),
        ("zeros.jpg", bytes(100)),
        ("empty.JPEG", b""),
        ("scan.heic", bytes(100)),
        ("no_suffix", b"\xff\xd8\xff\xe0"),
    ],
)
def test_a_damaged_image_of_a_folder_is_an_error(folder, name, content):
    (folder / name).write_bytes(content)
    with pytest.raises(ImageError, match=name):
        pdna.hash_directory(folder)
    table = pdna.hash_directory(folder, errors="record")
    assert [failure.path for failure in table.failures] == [str(folder / name)]
    assert len(table) == 3
    assert table.skipped == SKIPPED


def test_a_link_to_nothing_is_an_error(folder):
    (folder / "broken.png").symlink_to(folder / "nothing.png")
    with pytest.raises(ImageError, match=r"broken\.png.*no such file"):
        pdna.hash_directory(folder)


@pytest.mark.parametrize(
    "name", ["notes.txt", "film.mp4", pytest.param("pipe", marks=needs("named pipes"))]
)
def test_a_file_that_is_named_is_no_file_of_a_folder(folder, name):
    with pytest.raises(pdna.FileError, match=name):
        pdna.hash_inputs([folder / name])


def test_a_named_file_that_lies_in_a_folder_is_tried(folder):
    film = folder / "film.mp4"
    for paths in ([film, folder], [folder, film]):
        table = pdna.hash_inputs(paths, errors="record")
        assert [failure.path for failure in table.failures] == [str(film)]
        expected = SKIPPED | {"named twice": 2}
        del expected["video"]
        assert table.skipped == expected


def test_folders_files_and_tables_are_hashed_in_their_order(folder, tmp_path):
    known = pdna.hash_files([draw(tmp_path / "k1.png", 7), draw(tmp_path / "k2.png", 8)])
    known.save(tmp_path / "known.npz")
    one = draw(tmp_path / "one.png", 9)
    named = [tmp_path / "known.npz", one, tmp_path / "known.npz", folder / "below", folder, one]
    table = pdna.hash_inputs(named)
    expected = [*known.paths, one, *known.paths]
    expected += [str(folder / name) for name in ("below/c.png", "a.jpg", "b.png")]
    assert table.paths == expected
    assert table.file_status[:, 0].tolist()[:5] == [-1, -1, os.path.getsize(one), -1, -1]
    assert table.image_size[:, 0].tolist() == [0, 0, 40, 0, 0, 40, 60, 40]
    assert table.skipped["named twice"] == 3  # the link, c.png again, and one.png again


def test_rows_of_tables_are_labels_to_an_index_and_files_are_files(folder, tmp_path):
    pdna.hash_files([draw(tmp_path / "k1.png", 7)]).save(tmp_path / "known.csv")
    table = pdna.hash_inputs([tmp_path / "known.csv", folder])
    index = pdna.HashIndex.in_memory()
    index.add(table)
    assert [item.record.label for item in index.items()] == [True, False, False, False]
    assert [item.record.size for item in index.items()][1:] == table.file_status[1:, 0].tolist()


def test_what_cannot_be_read_is_recorded_with_all_else(folder, tmp_path):
    (tmp_path / "bad.npz").write_bytes(b"PK")
    paths = [tmp_path / "bad.npz", tmp_path / "missing.png", folder]
    table = pdna.hash_inputs(paths, errors="record", output=tmp_path / "all.npz")
    failed = [failure.path for failure in table.failures]
    assert failed == [str(tmp_path / "bad.npz"), str(tmp_path / "missing.png")]
    loaded = pdna.HashTable.load(tmp_path / "all.npz")
    assert (loaded.paths, loaded.failures) == (table.paths, table.failures)
    with pytest.raises(pdna.TableFileError, match=r"bad\.npz"):
        pdna.hash_inputs(paths)


def test_bad_lines_and_entries_of_tables_are_recorded_with_all_else(tmp_path):
    lines = ["id,type,indicator", "1,HASH_MD5,aa", f"2,HASH_PHOTODNA,{'00' * 144}", "3,PDNA,00"]
    (tmp_path / "list.csv").write_text("\n".join(lines))
    paths = [tmp_path / "list.csv", draw(tmp_path / "one.png", 9)]
    table = pdna.hash_inputs(paths, errors="record", table_options={"path_column": "type"})
    assert table.paths == ["HASH_PHOTODNA", str(tmp_path / "one.png")]
    assert table.other == {"id": ["2", ""]}
    assert [failure.path for failure in table.failures] == [f"{tmp_path / 'list.csv'}:4"]
    assert table.skipped == {"no PhotoDNA hash": 1}


def test_recursive_is_no_text(folder):
    for call in (lambda: pdna.hash_directory(folder, recursive="no"),
                 lambda: pdna.hash_inputs([folder], recursive="no")):  # fmt: skip
        with pytest.raises(pdna.ArgumentTypeError, match="recursive: got str, needs True or False"):
            call()


def test_a_folder_that_is_missing_is_an_error(tmp_path):
    with pytest.raises(pdna.FileError, match="nothing"):
        pdna.hash_directory(tmp_path / "nothing", errors="record")
    with pytest.raises(pdna.ArgumentTypeError, match="put one path into a list"):
        pdna.hash_inputs(str(tmp_path))


def test_a_cache_serves_many_calls_and_follows_the_files(folder, tmp_path, monkeypatch):
    cache = tmp_path / "cache"
    first = pdna.hash_directory(folder, cache=cache)
    from photodna_nb.hashing import hash_journal

    hashed = []
    original = hash_journal.hash_of_file

    def counted(path):
        hashed.append(os.path.basename(path))
        return original(path)

    monkeypatch.setattr(hash_journal, "hash_of_file", counted)
    draw(folder / "below" / "c.png", 10, (50, 50))
    again = pdna.hash_inputs([folder / "below", folder], cache=cache)
    assert sorted(name for name in hashed if name.endswith(("png", "jpg"))) == ["c.png"]
    assert again.hashes[1:].tolist() == first.hashes[:2].tolist()
    assert again.image_size.tolist() == [[50, 50], [60, 20], [40, 30]]
    shutil.rmtree(folder / "below")
    assert pdna.hash_directory(folder, cache=cache).paths == first.paths[:2]
