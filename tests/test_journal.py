"""The log of records: every byte altered, every length, other files, full disks."""

import io
import json
from typing import Annotated

import msgspec
import pytest
from conftest import needs

import photodna_nb as pdna
from photodna_nb import files, journal
from photodna_nb.journal import RecordLog


class Line(msgspec.Struct, frozen=True):
    name: str
    content: Annotated[bytes, msgspec.Meta(max_length=4)]
    errors: dict[int, str] = {}
    detail: float | None = None


LINES = [
    Line("a", b"\0\1\2\3"),
    Line("odd \udcff\n\x1b name", b"\xff", {-1: "none", 12: "twelve"}, 0.1),
    Line("", b""),
]


def log_at(path, version=1):
    return RecordLog(str(path), "lines", version, Line, pdna.TableFileError)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "log.jsonl"


@pytest.fixture
def content(path):
    with log_at(path) as log:
        for line in LINES:
            log.append(line)
    return path.read_bytes()


def test_records_come_back_as_they_were_appended(path, content):
    assert list(log_at(path).records()) == LINES
    assert content.splitlines()[0] == b'["photodna_nb: lines", 1]'
    with log_at(path) as log:
        log.append(LINES[0])
        assert list(log_at(path).records()) == [*LINES, LINES[0]], "before it is closed"
        log.append(LINES[1])
    assert list(log_at(path).records()) == [*LINES, *LINES[:2]]
    assert path.read_bytes().startswith(content), "nothing is ever rewritten"


def test_a_log_that_is_not_there_has_no_records(path):
    log = log_at(path)
    assert list(log.records()) == []
    log.close()
    log.delete()
    assert not path.exists()


@pytest.mark.parametrize("change", [1, 0x20, 0x80, "\n"])
def test_an_altered_byte_never_becomes_another_record(path, content, change):
    """It costs the records that it touches, or the file is refused; the others stay."""
    header = content.index(b"\n") + 1
    for place, byte in enumerate(content):
        altered = ord("\n") if change == "\n" else byte ^ change
        if altered == byte:
            continue
        path.write_bytes(content[:place] + bytes([altered]) + content[place + 1 :])
        if place < header:
            with pytest.raises(pdna.TableFileError, match="is not a file that begins with"):
                list(log_at(path).records())
            continue
        kept = list(log_at(path).records())
        assert [line for line in kept if line not in LINES] == []
        # The end of the last line is the one byte that nothing depends on, if it is missing.
        lost = 2 if byte == ord("\n") and place + 1 < len(content) else 1
        assert len(kept) == len(LINES) - lost, place


def test_every_length_keeps_the_whole_records_and_can_be_appended_to(path, content):
    ends = [place + 1 for place, byte in enumerate(content) if byte == ord("\n")]
    for length in range(len(content) + 1):
        path.write_bytes(content[:length])
        whole = [line for line, end in zip(LINES, ends[1:], strict=True) if length >= end - 1]
        assert list(log_at(path).records()) == whole, length
        with log_at(path) as log:
            log.append(LINES[1])
        assert list(log_at(path).records()) == [*whole, LINES[1]], length


@pytest.mark.parametrize(
    "foreign",
    [
        b"notes of mine\n",
        b"\0" * 100,
        b'{"path": "/a.jpg"}\n',
        b'["photodna_nb: lines", 2]\n',
        b'["photodna_nb: lines", 1] \n',
        b'["photodna_nb: others", 1]\n',
        b"x",
    ],
)
def test_a_file_of_another_kind_is_refused_and_left_alone(path, foreign):
    path.write_bytes(foreign)
    for use in (lambda: list(log_at(path).records()), lambda: log_at(path).append(LINES[0])):
        with pytest.raises(pdna.TableFileError, match=r"log\.jsonl: is not .*; move it away"):
            use()
    assert path.read_bytes() == foreign


def test_a_record_of_another_shape_is_missing(path, content):
    class Other(msgspec.Struct):
        name: str
        content: int

    other = RecordLog(str(path), "lines", 1, Other, pdna.TableFileError)
    with other:
        other.append(Other("b", 5))
    assert list(log_at(path).records()) == LINES
    assert list(other.records()) == [Other("b", 5)]


def test_base64_must_be_exact(path, content):
    """Although the checksum holds: another program may have written the line."""
    for text in ("AAEC Aw==", "AAECAw", "AAECAw==AA", "AA\u00e9A", "AAECAwQFBgc="):
        payload = b'{"name": "x", "content": %s}' % json.dumps(text).encode()
        path.write_bytes(content + journal._line(payload))
        assert list(log_at(path).records()) == LINES, text


def test_what_is_no_file_is_refused(tmp_path):
    for use in (lambda log: list(log.records()), lambda log: log.append(LINES[0])):
        with pytest.raises(pdna.TableFileError, match=r"directory|Is a directory"):
            use(log_at(tmp_path))


@needs("/dev/full")
def test_a_full_disk_is_an_error_once(path, content):
    log = log_at(path)
    log.open()
    log._file.close()
    log._file = open("/dev/full", "ab")  # noqa: SIM115  # closed by the log
    with pytest.raises(pdna.TableFileError, match=r"cannot be written \(No space left"):
        log.append(LINES[0])
    log.close()
    assert list(log_at(path).records()) == LINES


def test_deleting_closes_it_first(path, content):
    log = log_at(path)
    log.append(LINES[0])
    log.delete()
    assert not path.exists()
    log.append(LINES[1])
    assert list(log.records()) == [LINES[1]], "a new file"
    log.close()


# Other programs that use the same file meanwhile.


@pytest.mark.parametrize("call", ["open_regular", "regular_status", "open_to_append"])
def test_a_log_that_another_program_deletes_at_that_moment(monkeypatch, path, content, call):
    original = getattr(files, call)

    def deleted_before_or_after(*arguments):
        monkeypatch.undo()
        if call != "open_to_append":
            path.unlink()
            return original(*arguments)
        file = original(*arguments)
        path.unlink()
        return file

    monkeypatch.setattr(files, call, deleted_before_or_after)
    if call == "open_regular":
        assert list(log_at(path).records()) == []
    else:
        with log_at(path) as log:
            log.append(LINES[1])
        assert list(log_at(path).records()) == [LINES[1]]


def test_a_log_that_others_delete_again_and_again(monkeypatch, path):
    open_to_append = files.open_to_append

    def deleted(*arguments):
        file = open_to_append(*arguments)
        path.unlink()
        return file

    monkeypatch.setattr(files, "open_to_append", deleted)
    with pytest.raises(pdna.TableFileError, match="is deleted by other programs again and again"):
        log_at(path).open()


@pytest.mark.parametrize("start", [b"", b'["photo'])
def test_a_log_that_two_programs_begin_at_once(monkeypatch, path, start):
    path.write_bytes(start)
    open_to_append, other = files.open_to_append, log_at(path)

    class ReadMeanwhile(io.BufferedRandom):
        def read(self, *arguments):
            content = super().read(*arguments)
            other.append(LINES[0])
            return content

    def opened(*arguments):
        monkeypatch.undo()
        return ReadMeanwhile(open_to_append(*arguments).detach())

    monkeypatch.setattr(files, "open_to_append", opened)
    with log_at(path) as log, other:
        log.open()
        other.append(LINES[1])
        log.append(LINES[2])
        assert list(log_at(path).records()) == LINES


def test_a_log_that_another_program_has_begun_anew_is_not_deleted(monkeypatch, path, content):
    flock = pytest.importorskip("fcntl").flock

    def begun_anew(*arguments):
        monkeypatch.undo()
        path.unlink()
        with log_at(path) as other:
            other.append(LINES[1])
        flock(*arguments)

    monkeypatch.setattr("fcntl.flock", begun_anew)
    assert not log_at(path).delete()
    assert list(log_at(path).records()) == [LINES[1]]


def test_records_that_are_kept_are_in_a_new_file(path, content):
    log = log_at(path)
    assert log.delete(lambda: [line for line in log.records() if line == LINES[1]])
    assert list(log_at(path).records()) == [LINES[1]]
    assert log_at(path).delete(), "it is closed"
