"""The command line: text, JSON, order, limits, exit status, names; see also test_cli_process."""

import codecs
import errno
import io
import json
import os
import re
import sys

import msgspec
import numpy as np
import PIL
import pytest
from conftest import JIT_OFF, draw_smooth_noise, messages, needs
from PIL import Image

import photodna_nb as pdna
from photodna_nb import cli, versions
from photodna_nb.cli.images import files_in
from photodna_nb.hashing.hash_journal import HashJournal, hash_if_changed
from photodna_nb.versions import installed_version

pytestmark = pytest.mark.skipif(JIT_OFF, reason="the same text with or without JIT, but slowly")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Three images, one of them a variant of another, and a file that is none."""
    folder = tmp_path_factory.mktemp("images")
    draw_smooth_noise(folder, ("a.png", "c.png"), 2, (8, 12), (240, 160))
    with Image.open(folder / "a.png") as image:
        image.save(folder / "b.jpg", quality=60)
    (folder / "bad.jpg").write_bytes(b"no image")
    (folder / "sub").mkdir()
    return folder


def text(result) -> str:
    assert messages(result) == []
    assert result.returncode == 0
    return result.stdout.decode()


def failed(result) -> list[str]:
    lines = messages(result)
    assert result.returncode == 1
    assert lines
    assert all(line.startswith("photodna-nb: error: ") for line in lines)
    return [line.removeprefix("photodna-nb: error: ") for line in lines]


def wrong_usage(result) -> str:
    assert result.returncode == 2
    assert result.stdout == b""
    usage, error = result.stderr.decode().splitlines()
    assert usage.startswith("usage: photodna-nb ")
    return error.removeprefix("photodna-nb: error: ")


def test_version(call):
    version = text(call("--version"))
    assert version.startswith(f"photodna-nb {pdna.__version__} (Python 3.")
    for package in ("NumPy ", "Numba ", "Pillow ", "FAISS "):
        assert package in version
    for plugin in ("pillow-heif", "pillow-jxl-plugin"):  # their decoders decide hashes, too
        assert (plugin in version) == (installed_version(plugin) is not None)


def test_hash(call, folder):
    values = [int(value) for value in text(call("--hash", folder / "a.png")).split(",")]
    np.testing.assert_array_equal(values, pdna.hash_file(folder / "a.png"))
    assert text(call("--hash", folder / "a.png")).count("\n") == 1


def test_detail(call, folder):
    values, said = text(call("--hash", folder / "a.png", "--detail")).splitlines()
    with Image.open(folder / "a.png") as image:
        detail = pdna.detail(image)
    assert values.count(",") == 143
    assert said == f"Detail: {detail:.1f}"
    first = json.loads(call("--hash-dir", folder, "--detail").stdout)[0]
    assert list(first) == ["filename", "path", "photodna", "detail"]
    assert first["detail"] == detail


def test_version_without_a_package_by_that_name(monkeypatch, capsys):
    """FAISS comes as another distribution with conda."""
    known = versions.version

    def version(distribution):
        if distribution == "faiss-cpu":
            raise versions.PackageNotFoundError
        return "1.2.3" if distribution == "faiss" else known(distribution)

    monkeypatch.setattr(versions, "version", version)
    assert cli.main(["--version"]) == 0
    assert "FAISS 1.2.3)" in capsys.readouterr().out
    monkeypatch.setitem(versions._DISTRIBUTIONS, "FAISS", ("faiss-cpu",))
    assert cli.main(["--version"]) == 0
    assert "FAISS not installed)" in capsys.readouterr().out


def test_hash_dir(call, folder):
    result = call("--hash-dir", folder)
    assert failed(result) == [f"{folder}/bad.jpg: {reason(folder / 'bad.jpg')}"]
    entries = json.loads(result.stdout)
    assert [entry["filename"] for entry in entries] == ["a.png", "b.jpg", "c.png"]
    for entry in entries:
        assert list(entry) == ["filename", "path", "photodna"]
        assert entry["path"] == str(folder / entry["filename"])
        assert entry["photodna"] == pdna.hash_file(entry["path"]).tolist()


def reason(path) -> str:
    with pytest.raises(pdna.ImageError) as caught:
        pdna.hash_file(path)
    return caught.value.reason


def test_hash_dir_relative_and_empty(call, folder, tmp_path):
    entries = json.loads(call("--hash-dir", folder.name, cwd=folder.parent).stdout)
    assert entries[0]["path"] == str(folder / "a.png")
    assert json.loads(text(call("--hash-dir", folder / "sub"))) == []
    assert "nowhere: cannot be listed (No such file" in failed(call("--hash-dir", "nowhere"))[0]
    (message,) = failed(call("--hash-dir", "a.png", cwd=folder))
    assert message == "a.png: is a file, not a directory; for an image: photodna-nb --hash a.png"
    pdna.hash_files([folder / "a.png"]).save(tmp_path / "known.csv")
    (message,) = failed(call("--hash-dir", "known.csv", cwd=tmp_path))
    assert message.endswith("a table of hashes: photodna-nb --match known.csv PATH")


def test_a_folder_or_a_table_is_no_single_image(call, folder, tmp_path):
    pdna.hash_files([folder / "a.png"]).save(tmp_path / "known.csv")
    (tmp_path / "new folder").mkdir()
    for mode in (["--hash"], ["--compare", folder / "a.png"]):
        (message,) = failed(call(*mode, "new folder", cwd=tmp_path))
        expected = "is a folder, not an image; for its images: photodna-nb --hash-dir 'new folder'"
        assert message == f"new folder: {expected}"
        (message,) = failed(call(*mode, "known.csv", cwd=tmp_path))
        assert message.startswith("known.csv: is a table of hashes, not an image; to compare with")
        assert message.endswith("photodna-nb --match known.csv PATH")


@needs("named pipes")
def test_entries_that_are_no_files_do_not_stop_the_others(call, folder, tmp_path):
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    (tmp_path / "nowhere").symlink_to(tmp_path / "gone")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "good.png").write_bytes((folder / "a.png").read_bytes())
    result = call("--hash-dir", tmp_path)
    assert [entry["filename"] for entry in json.loads(result.stdout)] == ["good.png"]
    assert [line.split(": ")[0] for line in failed(result)] == [
        f"{tmp_path}/{name}" for name in ("circle", "nowhere", "pipe")
    ]


@needs("names of any bytes")
def test_files_by_folder_and_by_list(call, folder, tmp_path):
    """--recursive, --files-from by lines, by NUL and from standard input, --jobs."""
    deep = tmp_path / "x" / "y"
    deep.mkdir(parents=True)
    (tmp_path / "x" / "loop").symlink_to(tmp_path)
    names = [b"b.png", b"x/a.png", b"x/y/new\nline\xff.png"]
    paths = [os.path.join(os.fsencode(tmp_path), name) for name in names]
    for path in paths:
        with open(path, "wb") as file:
            file.write((folder / "a.png").read_bytes())
    expected = text(call("--hash-dir", tmp_path, "--recursive"))
    assert [os.fsencode(entry["path"]) for entry in json.loads(expected)] == paths
    assert text(call("--hash-dir", tmp_path, "--recursive", "--jobs", "1")) == expected
    listing = tmp_path / "list.txt"
    listing.write_bytes(b"\0".join(paths) + b"\0")
    assert text(call("--files-from", listing)) == expected
    content = listing.read_bytes()
    assert text(call("--files-from", "-", stdin=content, cwd=deep)) == expected
    listing.write_bytes(b"\r\n".join(paths[:2]) + b"\n\n")
    assert json.loads(text(call("--files-from", listing))) == json.loads(expected)[:2]
    for content in (
        codecs.BOM_UTF8 + b"\r\n".join(paths[:2]),
        "\r\n".join(map(os.fsdecode, paths[:2])).encode("utf-16"),
    ):
        listing.write_bytes(content)
        assert json.loads(text(call("--files-from", listing))) == json.loads(expected)[:2]
        printed = text(call("--files-from", "-", stdin=content))
        assert json.loads(printed) == json.loads(expected)[:2]
    files = (tmp_path / "i", tmp_path / "m")
    built = text(call("--faiss-build", *files, paths[1], "--files-from", listing))
    assert built.startswith("Indexed 2 file(s)")
    assert "Skipped 1 file(s)" in built
    assert "cannot be read (No such file" in failed(call("--files-from", "gone"))[0]
    for form in ("known.csv", "known.txt"):
        pdna.hash_files(paths[:1]).save(listing.parent / form)
        (error,) = failed(call("--duplicates", "--files-from", listing.parent / form))
        assert "is a table of hashes, not a list of image files; --duplicates" in error
    listing.write_bytes("a.png\nb.png\n".encode("utf-16-le"))
    (error,) = failed(call("--files-from", listing))
    assert "list.txt: is no list of paths in UTF-8 but in UTF-16" in error
    (error,) = failed(call("--files-from", "/dev/zero"))
    assert "/dev/zero: is a device; give a file or a pipe" in error
    image = os.fsdecode(paths[0])
    (error,) = failed(call("--files-from", image))
    assert f"is an image, not a list of paths; for its hash: photodna-nb --hash {image}" in error
    listing.write_bytes(b"BM_1.jpg\n")  # as a BMP image begins
    assert "BM_1.jpg: no such file" in failed(call("--files-from", listing))[0]


def test_output_for_a_spreadsheet(call, folder, tmp_path):
    (tmp_path / "=a.png").write_bytes((folder / "a.png").read_bytes())
    output = tmp_path / "t.csv"
    for options in ["--spreadsheet"], ["--spreadsheet", "--resume"], ["--resume"], []:
        call("--files-from", "-", "--output", output, *options, stdin=b"=a.png\n", cwd=tmp_path)
        name = output.read_text("utf-8").partition(",")[0]
        assert name == ("'=a.png" if "--spreadsheet" in options else "=a.png")


def test_output_file(call, folder, tmp_path):
    for suffix in (".json", ".csv", ".npz", ".parquet"):
        output = tmp_path / f"hashes{suffix}"
        result = call("--hash-dir", folder, "--output", output)
        assert len(failed(result)) == 1
        assert result.stdout == b""
        table = pdna.HashTable.load(output)
        assert [os.path.basename(path) for path in table.paths] == ["a.png", "b.jpg", "c.png"]
        np.testing.assert_array_equal(table.hashes[0], pdna.hash_file(folder / "a.png"))
    wrong = wrong_usage(call("--hash-dir", folder, "--output", "a.bmp"))
    assert "argument --output: got the suffix '.bmp'" in wrong
    message = failed(call("--hash-dir", folder, "--output", tmp_path / "no" / "a.csv"))
    assert len(message) == 1, "before any file is read"
    assert "its folder is missing or write-protected" in message[0]


def test_resume_hashes_what_is_missing_in_the_journal(call, folder, tmp_path):
    output, journal = tmp_path / "hashes.npz", tmp_path / "hashes.npz.journal"
    failed(call("--hash-dir", folder, "--output", output))
    assert not journal.exists()
    failed(call("--hash-dir", folder, "--output", output, "--resume"))
    lines = journal.read_bytes().splitlines(keepends=True)
    # As it was when two hashes were made; what is known of them is believed.
    journal.write_bytes(b"".join(lines[:2]))
    with HashJournal(str(journal)) as records:
        second = json.loads(lines[2])[1]["path"]
        known = hash_if_changed(second, None, compare_content=False)
        records.append(msgspec.structs.replace(known, detail=known.detail + 1_000_000))
    output.unlink()
    failed(call("--hash-dir", folder, "--output", output, "--resume"))
    table = pdna.HashTable.load(output)
    assert [os.path.basename(path) for path in table.paths] == ["a.png", "b.jpg", "c.png"]
    assert [detail > 1_000_000 for detail in table.detail] == [False, True, False]
    assert len(journal.read_bytes().splitlines()) == len(lines)


def test_a_folder_that_cannot_be_listed_does_not_stop_the_others(tmp_path, monkeypatch, capsys):
    for name in ("a/1.png", "b/2.png", "c/3.png"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    real = os.scandir

    def scandir(path):
        if str(path).endswith("/b"):
            raise PermissionError(errno.EACCES, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    paths, failures = files_in(str(tmp_path), recursive=True)
    assert paths == [f"{tmp_path}/a/1.png", f"{tmp_path}/c/3.png"]
    assert [path for path, _ in failures] == [f"{tmp_path}/b"]
    message = f"photodna-nb: error: {tmp_path}/b: cannot be listed (Permission denied)"
    assert capsys.readouterr().err.startswith(message)


def test_order_is_kept_on_any_number_of_threads(call, folder, tmp_path):
    for number in range(40):
        source = folder / ("bad.jpg" if number % 7 == 3 else "a.png")
        (tmp_path / f"{number:02}.png").write_bytes(source.read_bytes())
    results = [call("--hash-dir", tmp_path, "--jobs", str(jobs)) for jobs in (1, 2, 16)]
    assert len({(result.stdout, *messages(result)) for result in results}) == 1
    assert len(json.loads(results[0].stdout)) == 34


def test_compare(call, folder):
    a, b = folder / "a.png", folder / "b.jpg"
    ha, hb = pdna.hash_file(a), pdna.hash_file(b)
    similarity = f"Similarity: {pdna.similarity(ha, hb):.6f}\n"
    euclidean = f"Distance (euclidean): {pdna.distance(ha, hb):.4f}\n"
    manhattan = f"Distance (manhattan): {pdna.distance(ha, hb, 'manhattan'):.4f}\n"
    assert text(call("--compare", a, b)) == euclidean + similarity
    assert text(call("--compare", a, b, "--metric", "euclidean")) == euclidean + similarity
    assert text(call("--metric=manhattan", "--compare", a, b)) == manhattan + similarity
    assert text(call("--compare", a, a)) == "Distance (euclidean): 0.0000\nSimilarity: 1.000000\n"
    turned = folder.parent / "turned.png"
    with Image.open(a) as image:
        image.transpose(Image.Transpose.ROTATE_90).save(turned)
    nearest = pdna.distance(pdna.orientations(ha)[3], pdna.hash_file(turned))
    distance, similarity, orientation = text(
        call("--compare", a, turned, "--orientations")
    ).splitlines()
    assert distance == f"Distance (euclidean): {nearest:.4f}"
    assert float(similarity.removeprefix("Similarity: ")) > 0.98
    assert orientation == "Orientation: rotate_90"
    result = call("--compare", folder / "bad.jpg", "missing")
    assert len(failed(result)) == 2, "both are named"
    assert result.stdout == b""


def test_index_from_start_to_end(call, folder, tmp_path):
    a, b, c = (folder / name for name in ("a.png", "b.jpg", "c.png"))
    files = ("index.faiss", "meta.json")
    result = call("--faiss-build", *files, a, folder / "bad.jpg", c, cwd=tmp_path)
    assert result.stdout == b"Indexed 2 file(s) into index.faiss\n"
    assert len(failed(result)) == 1
    meta = json.loads((tmp_path / "meta.json").read_text("utf-8"))
    for item, path in zip(meta["items"], (a, c), strict=True):
        (record,) = item["extra"].values()
        assert len(record.pop("checksum")) == 16
        assert record == {
            "detail": pdna.detail(Image.open(path)),
            "pillow": PIL.__version__,
            "size": path.stat().st_size,
            "modified": path.stat().st_mtime_ns,
        }
    added = call("--faiss-add", *files, b, a, b, cwd=tmp_path)
    assert text(added) == (
        "Added 1 file(s) into index.faiss\nSkipped 2 file(s) that were indexed already\n"
    )
    query = ("--faiss-query", *files, a)
    answer = text(call(*query, cwd=tmp_path))
    assert text(call(*query, cwd=tmp_path)) == answer
    squared = int(pdna.distance(pdna.hash_file(a), pdna.hash_file(b), "sqeuclidean"))
    first_two = f"""Query: {a}
Results: 3

[1] {a}
    id=1
    distance=0.0000
    similarity=1.000000
    distance_squared=0.0000

[2] {b}
    id=3
    distance={squared**0.5:.4f}
    similarity={1 - squared**0.5 / 3060:.6f}
    distance_squared={squared}.0000
"""
    assert answer.startswith(first_two)
    assert [line for line in answer.splitlines() if line.startswith("[")] == [
        f"[1] {a}", f"[2] {b}", f"[3] {c}"
    ]  # fmt: skip
    limited = first_two.replace("Results: 3", "Results: 2")
    assert text(call(*query, "--max-distance", "300", cwd=tmp_path)) == limited
    assert text(call(*query, "2", cwd=tmp_path)) == limited
    assert text(call(*query, "20", "--min-similarity", "0.9", cwd=tmp_path)) == limited
    only_itself = call(*query, "--min-similarity", "0.5", "--max-distance", "0", cwd=tmp_path)
    assert "Results: 1" in text(only_itself)
    (tmp_path / "index.faiss").unlink()
    (message,) = failed(call(*query, cwd=tmp_path))
    command = re.search(r"photodna-nb (--faiss-rebuild \S+ \S+)$", message)[1]
    rebuilt = call(*command.split(), cwd=tmp_path)
    assert text(rebuilt) == f"Rebuilt {tmp_path}/index.faiss with 3 file(s)\n"
    assert text(call(*query, cwd=tmp_path)) == answer


def test_no_result(call, folder, tmp_path):
    files = (tmp_path / "i", tmp_path / "m")
    text(call("--faiss-build", *files, folder / "a.png"))
    result = call("--faiss-query", *files, folder / "c.png", "--max-distance", "1")
    assert text(result) == f"Query: {folder / 'c.png'}\nResults: 0\n"


def test_build_replaces_no_file_and_writes_no_empty_index(call, folder, tmp_path):
    files = (tmp_path / "i", tmp_path / "m")
    assert "i: not written" in failed(call("--faiss-build", *files, folder / "bad.jpg"))[-1]
    assert os.listdir(tmp_path) == []
    text(call("--faiss-build", *files, folder / "a.png"))
    assert "exists already" in failed(call("--faiss-build", *files, folder / "c.png"))[0]
    text(call("--faiss-build", *files, folder / "b.jpg", folder / "c.png", "--overwrite"))
    assert len(pdna.HashIndex.open(*files)) == 2
    assert "folder that does not exist" in failed(call("--faiss-build", "no/i", "no/m", "x"))[0]


def test_compare_warns_of_flat_images(call, folder, tmp_path):
    flat = [tmp_path / f"{grey}.png" for grey in (50, 200)]
    for path, grey in zip(flat, (50, 200), strict=True):
        Image.new("RGB", (100, 100), (grey,) * 3).save(path)
    result = call("--compare", *flat)
    assert result.returncode == 0
    assert result.stdout == b"Distance (euclidean): 0.0000\nSimilarity: 1.000000\n"
    assert result.stderr.decode() == (
        f"photodna-nb: warning: {flat[0]} (0.0), {flat[1]} (0.0): 2 of 2 images have less than 100 "
        "grey levels of detail, and such images match whatever they show\n"
    )


@needs("names of any bytes")
def test_hostile_names(call, folder, tmp_path, monkeypatch):
    """They come through JSON unchanged, and reach no terminal raw."""
    names = [
        b"new\nline.png",
        b"esc\x1b[31m.png",
        b"\xff\xfe.png",
        "猫.png".encode(),
        b"sp ace.png",
    ]
    images = tmp_path / "pictures"
    images.mkdir()
    for name in names:
        with open(os.path.join(os.fsencode(images), name), "wb") as file:
            file.write((folder / "a.png").read_bytes())
    with open(os.path.join(os.fsencode(images), b"bad\n\x1b\xff.png"), "wb"):
        pass
    result = call("--hash-dir", images)
    entries = json.loads(result.stdout)
    assert {os.fsencode(entry["filename"]) for entry in entries} == set(names)
    (message,) = failed(result)
    assert r"bad\n\x1b\xff.png: " in message
    assert b"\x1b" not in result.stdout + result.stderr
    paths = [os.path.join(os.fsencode(images), name) for name in names]
    files = (os.fsencode(tmp_path / "i"), os.fsencode(tmp_path / "m"))
    text(call("--faiss-build", *files, *paths))
    meta = json.loads((tmp_path / "m").read_text("utf-8"))
    assert [os.fsencode(item["path"]) for item in meta["items"]] == paths
    answer = text(call("--faiss-query", *files, paths[0]))
    assert f"Query: {images}/new\\nline.png\n" in answer
    assert "\x1b" not in answer
    assert r"esc\x1b[31m.png" in answer
    assert r"\xff\xfe.png" in answer
    for encoding in ("ascii", "latin-1"):
        stdout = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stdout", stdout)
            assert cli.main(["--faiss-query", *map(os.fsdecode, (*files, paths[0]))]) == 0
        assert stdout.buffer.getvalue().count(b"distance=0.0000") == len(names)


def test_max_pixels(call, folder):
    small = call("--hash", folder / "a.png", "--max-pixels", "100")
    assert "38400 pixels are over the limit of 100 pixels" in failed(small)[0]
    text(call("--hash", folder / "a.png", "--max-pixels", "38400"))


def test_an_unexpected_error_prints_no_traceback(monkeypatch, capsys, folder):
    def broken(_, **options):
        raise ZeroDivisionError("odd\x1b")

    monkeypatch.setitem(cli.FUNCTIONS, "hash", broken)
    monkeypatch.delenv("PHOTODNA_NB_TRACEBACK", raising=False)
    assert cli.main(["--hash", "x"]) == 1
    assert "unexpected ZeroDivisionError: odd\\x1b; please report" in capsys.readouterr().err
    monkeypatch.setenv("PHOTODNA_NB_TRACEBACK", "1")
    cli.main(["--hash", "x"])
    assert "Traceback" in capsys.readouterr().err


def test_the_limit_of_pixels_is_restored(folder, capsys):
    before = Image.MAX_IMAGE_PIXELS
    assert cli.main(["--hash", str(folder / "a.png"), "--max-pixels", "9"]) == 1
    assert before == Image.MAX_IMAGE_PIXELS
    assert cli.main(["--hash", str(folder / "a.png")]) == 0
    assert capsys.readouterr().out.count(",") == 143


def test_an_interrupt(monkeypatch, capsys):
    def interrupted(*_, **options):
        raise KeyboardInterrupt

    goes_on = "stopped; the same call goes on from there"
    for arguments, expected in [
        (["--hash", "x"], "stopped"),
        (["--duplicates", "x"], "stopped; with --cache FILE, the same call would go on from there"),
        (["--duplicates", "x", "--cache", "y"], goes_on),
        (["--faiss-sync", "i", "m", "x"], goes_on),
    ]:
        monkeypatch.setitem(cli.FUNCTIONS, arguments[0][2:].replace("-", "_"), interrupted)
        assert cli.main(arguments) == 130
        assert capsys.readouterr().err == f"photodna-nb: {expected}\n"


def test_the_example_of_an_evaluation_is_a_configuration(call, tmp_path):
    example = text(call("--evaluate-example"))
    (tmp_path / "evaluation.toml").write_text(example)
    config = pdna.evaluation.Config.load(tmp_path / "evaluation.toml")
    assert config.deployment == pdna.evaluation.config.DeploymentConfig(), "it says the defaults"
    assert len(config.dataset()) == 1000
