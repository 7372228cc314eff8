"""What was saved stays: kills, many writers, readers meanwhile, full disks, dead locks."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import nullcontext, suppress
from functools import partial

import faults
import index_changes
import numpy as np
import pytest
import writers
from conftest import JIT_OFF, TEST_SCALE, needs, scaled
from faults import Route
from index_changes import Change, LostError, hashes_of
from indexes import (
    EXACT,
    HASHES,
    INDEX_TYPES,
    METADATA,
    answered,
    names,
    save_index,
    write_former_tables,
)
from PIL import Image

import photodna_nb as pdna
from photodna_nb import files
from photodna_nb.index.verification import Verification

pytestmark = [pytest.mark.skipif(JIT_OFF, reason="needs speed"), needs("fork", "signals")]


# Of tests that take seconds, the README's command takes one form of metadata.
MOSTLY_SQLITE = ["meta.sqlite", pytest.param("meta.json", marks=pytest.mark.long)]


@pytest.fixture(params=METADATA)
def meta(request):
    return request.param


# Kills. `python tests/faults.py --kills 400` does the same for longer.


@pytest.mark.scaled
def test_kills_lose_nothing(tmp_path):
    n_kills = scaled(3, 400)
    columns = {route.name: route.seen for route in faults.kill_often(tmp_path, n_kills, seed=1)}
    table = faults.table(columns, faults.ROWS)
    seen = sum(columns.values(), Counter())
    assert seen["kills"] == n_kills
    assert seen["met a change"] >= n_kills / 2, "kills that meet no change show nothing"
    if n_kills >= 16:
        assert seen["left .tmp"] + seen["left journal"] >= 1, table
    assert "items checked" in table


@pytest.mark.parametrize(
    "sabotage", ["reports too early", pytest.param("writes in place", marks=pytest.mark.long)]
)
def test_kills_notice_a_program_that(tmp_path, sabotage):
    route = Route(tmp_path, "meta.json", "flat")

    def kill_often():
        for seed in range(20):
            route.kill(seed, sabotage=sabotage)

    with pytest.raises(LostError):
        kill_often()


def test_a_check_notices_each_loss(tmp_path, monkeypatch):
    route = Route(tmp_path, "meta.json", "flat")
    index_changes.make(Change("build", range(1, 6), []), route.pair)
    route.names, route.ids = {1, 2, 3, 4, 5}, {name: name for name in range(1, 6)}
    route.check(set(), None)
    route._check_all([])  # killed before it began anything
    for names_before, ids, gone, words in (
        ({1, 2, 3, 4, 5, 6}, {}, set(), "1 items lost, 0 more"),
        ({1, 2, 3, 4}, {}, set(), "0 items lost, 1 more"),
        ({1, 2, 3, 4, 5}, {3: 7}, set(), "another id"),
    ):
        route.names, route.ids = names_before, ids
        with pytest.raises(LostError, match=words):
            route.check(gone, None)
    picture = index_changes.FIRST_PICTURE + 8
    index_changes.make(Change("update", range(picture, picture + 1), []), route.pair)
    route.names, route.ids = {1, 2, 3, 4, 5, picture}, {}
    route.check(set(), None)
    index_changes.write_pictures([picture + index_changes.PICTURES_OF_A_WRITER], route.pair)
    route.check(set(), None)
    with monkeypatch.context() as patched:
        patched.setattr(pdna.HashIndex, "verify", lambda *_, **__: Verification(6, n_labels=5))
        with pytest.raises(LostError, match="verify says"):
            route.check(set(), None)
    with pytest.raises(LostError, match="verify has changed a file"):
        route._check_all([json.dumps([0, "verify", [0, 0], [], "flat", "another digest"])])
    route.index_type = "uint8"
    with pytest.raises(LostError, match="its type is flat"):
        route.check(set(), None)
    route.index_type = "flat"
    with pdna.HashIndex.open(*route.pair) as index:
        index.add(["/photos/6.jpg"], hashes_of([7]), extra=[{"name": 6}])
        index.save()
    route.names, route.ids = {1, 2, 3, 4, 5, 6, picture}, {}
    with pytest.raises(LostError, match="not found by its hash"):
        route.check(set(), None)
    route.pair[1].unlink()
    with pytest.raises(LostError, match="metadata is gone"):
        route.check(set(), None)


@pytest.mark.parametrize("index_type", INDEX_TYPES)
def test_killed_between_any_two_steps(tmp_path, meta, index_type):
    """Each place where a file is made to last, or takes another one's place, once."""
    reached = 0
    for step in range(1, 40):
        folder = tmp_path / str(step)
        folder.mkdir()
        pair = save_index(folder, HASHES[:5], meta, index_type)
        exited = os.waitstatus_to_exitcode(in_a_child(partial(killed_at, step, replace_one, pair)))
        assert exited in (0, -signal.SIGKILL)
        with pdna.HashIndex.open(*pair) as index:
            ids = [item.id for item in index.items()]
            assert ids in ([1, 2, 3, 4, 5], [2, 3, 4, 5, 6])
            for i in ids:
                assert answered(index, HASHES[i - 1], 1) == [(i, 0)]
            index.verify()
            index.add(["/again"], HASHES[9:10])
            index.save()
        assert [name for name in os.listdir(folder) if name.endswith(("tmp", "journal"))] == []
        if exited == 0:
            assert ids == [2, 3, 4, 5, 6]
            break
        reached += 1
    assert reached >= 4, "there are two files, each synchronised and put in its place"


@pytest.mark.parametrize("index_type", INDEX_TYPES)
@pytest.mark.parametrize(("removed", "n_added"), [([2], 0), ([2], 1), ([1, 2, 3, 4, 5], 0)])
def test_a_save_writes_an_index_file_of_an_earlier_state(
    tmp_path, meta, index_type, removed, n_added
):
    """As after a kill between the two files, also if the number of rows is the same."""
    pair = save_index(tmp_path, HASHES[:5], meta, index_type)
    former = pair[0].read_bytes()
    with pdna.HashIndex.open(*pair) as index:
        index.remove(removed)
        index.add(names(n_added, 5), HASHES[5 : 5 + n_added])
        index.save()
    pair[0].write_bytes(former)
    with pdna.HashIndex.open(*pair) as index:
        assert index.verify().lacking == removed
        index.save()
    with pdna.HashIndex.open(*pair) as index:
        found = index.verify()
    assert (found.lacking, found.n_pending) == ([], 0)


@pytest.mark.parametrize("index_type", EXACT)
def test_a_save_writes_an_index_file_of_a_former_type(tmp_path, meta, index_type):
    pair = save_index(tmp_path, HASHES[:5], meta, index_type)
    former = pair[0].read_bytes()
    other = EXACT[EXACT[0] == index_type]
    pdna.HashIndex.rebuild(*pair, index_type=other).close()
    pair[0].write_bytes(former)
    with pdna.HashIndex.open(*pair) as index:
        assert index.verify().other_type == index_type
        index.save()
        assert index.verify().other_type is None
        assert index.index_type == other


def test_a_save_after_one_that_did_not_put_the_index_file_in_its_place(tmp_path, monkeypatch, meta):
    pair = save_index(tmp_path, HASHES[:5], meta)
    move_into_place = files.move_into_place

    def without_space(source, target, error_type):
        if target == str(pair[0]):
            raise error_type(target, "cannot be written (No space left on device)")
        move_into_place(source, target, error_type)

    with pdna.HashIndex.open(*pair) as index:
        index.remove([2])
        with monkeypatch.context() as patched:
            patched.setattr(files, "move_into_place", without_space)
            with pytest.raises(pdna.IndexFileError, match="The metadata has what was saved"):
                index.save()
        assert index.verify().lacking == [2]
        index.save()
        assert index.verify().lacking == []


@pytest.mark.long
@pytest.mark.parametrize("kind", ["build", "update", "rebuild", "retype", "convert"])
@pytest.mark.parametrize("tables", [*METADATA, "former meta.sqlite"])
def test_each_change_killed_between_any_two_steps(tmp_path, tables, kind):
    first = index_changes.FIRST_PICTURE
    second = first + index_changes.PICTURES_OF_A_WRITER
    added = {"build": range(6, 9), "update": range(second, second + 1)}.get(kind, range(0))
    change = Change(kind, added, [first] if kind == "update" else [], "uint8")
    earlier = (
        Change("build", range(1, 6), []),
        Change("update", range(first, first + 1), []),
        Change("convert", range(0), []),
    )
    for step in range(1, 40):
        (tmp_path / str(step)).mkdir()
        route = Route(tmp_path / str(step), tables.split()[-1], "flat")
        lines = []
        for one in earlier:
            ids = index_changes.make(one, route.pair)
            lines += [index_changes.announcement(one, route.pair), json.dumps([ids, 0])]
        route._check_all(lines)
        if tables.startswith("former"):
            write_former_tables(route.pair[1])
        lines = [index_changes.announcement(change, route.pair)]
        make = partial(index_changes.make, change, route.pair)
        exited = os.waitstatus_to_exitcode(in_a_child(partial(killed_at, step, make)))
        assert exited in (0, -signal.SIGKILL)
        if exited == 0:
            lines.append("[[], 0]")
        route._check_all(lines)
        if exited == 0:
            break
    assert step > 3


def killed_at(step, change, *arguments):
    """Change an index, and die before the given call that reaches the disk."""
    left = [step]

    def before(call):
        def wrapped(*arguments):
            left[0] -= 1
            if not left[0]:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*arguments)

        return wrapped

    os.fsync, os.replace, os.unlink = before(os.fsync), before(os.replace), before(os.unlink)
    change(*arguments)


def replace_one(pair):
    with pdna.HashIndex.open(*pair) as index:
        index.remove([1])
        index.add(["/new"], HASHES[5:6])
        index.save()


def in_a_child(work):
    """The status of a child that does something."""
    return os.waitpid(index_changes.in_a_child(work), 0)[1]


def test_everything_is_on_the_disk_before_it_takes_its_place(tmp_path, monkeypatch):
    """What a power cut may undo: a name that was not synchronised, or content under it."""
    calls = []

    def noted(name):
        call = getattr(os, name)

        def wrapped(*arguments):
            calls.append((name, arguments))
            return call(*arguments)

        return wrapped

    monkeypatch.setattr(os, "replace", noted("replace"))
    monkeypatch.setattr(files, "_sync", lambda path: calls.append(("sync", (path,))))
    target = tmp_path / "file"
    files.write([(str(target), [b"new"])], pdna.IndexFileError)
    (first, (written,)), (second, (source, placed)), (third, (folder,)) = calls
    assert (first, second, third) == ("sync", "replace", "sync")
    assert written == source
    assert (placed, folder) == (str(target), str(tmp_path))


def test_metadata_comes_first(tmp_path, monkeypatch, meta):
    """An index that is older than its metadata is completed; a newer one is of no use."""
    pair = save_index(tmp_path, HASHES[:5], meta)
    order = []
    replace = files.StagedFile.replace

    def noted(staged):
        order.append(os.path.basename(staged._path))
        if staged._path == str(pair[0]):
            connected = pdna.HashIndex.open(*pair)
            assert "/new" in connected, "the metadata has it already"
            connected.close()
        replace(staged)

    index = pdna.HashIndex.open(*pair)
    index.add(["/new"], HASHES[5:6])
    index.remove([1])
    monkeypatch.setattr(files.StagedFile, "replace", noted)
    index.save()
    assert order == (["meta.json"] if meta == "meta.json" else []) + ["index.faiss"]


def test_a_lock_of_a_dead_program_blocks_nobody(tmp_path, meta):
    pair = save_index(tmp_path, HASHES[:5], meta)

    def die():
        pdna.HashIndex.open(*pair).add(["/new"], HASHES[5:6])
        os.kill(os.getpid(), signal.SIGKILL)

    assert os.waitstatus_to_exitcode(in_a_child(die)) == -signal.SIGKILL
    with pdna.HashIndex.open(*pair) as index:
        assert index.add(["/other"], HASHES[6:7]).ids == [6]
        index.save()
        index.verify()
        assert "/new" not in index


# Others, at the same time.


@pytest.mark.scaled
@pytest.mark.parametrize("meta", MOSTLY_SQLITE)
def test_programs_add_at_once(tmp_path, meta):
    """Three of them or, in full, eight."""
    n_programs, each = scaled(3, 8), 20
    n_images = n_programs * each
    pair = tmp_path / "index.faiss", tmp_path / meta
    with pdna.HashIndex.create(*pair) as index:
        index.save()
    pixels = np.random.default_rng(4).integers(0, 256, (n_images, 8, 8, 3), np.uint8)
    images = [tmp_path / f"{i}.png" for i in range(n_images)]
    for path, one in zip(images, pixels, strict=True):
        Image.fromarray(one).resize((32, 32)).save(path)
    command = [sys.executable, "-m", "photodna_nb", "--faiss-add", *map(str, pair)]
    programs = [
        subprocess.Popen(
            [*command, *map(str, images[start : start + each])],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for start in range(0, n_images, each)
    ]
    for program in programs:
        output, errors = program.communicate(timeout=300)
        assert (program.returncode, b"error" in errors) == (0, False)
        assert output.startswith(b"Added %d file(s)" % each)
    with pdna.HashIndex.open(*pair) as index:
        assert sorted(item.id for item in index.items()) == list(range(1, n_images + 1))
        assert {item.path for item in index.items()} == set(map(str, images))
        table = pdna.hash_files(images)
        for path, matches in zip(images, index.search(table.hashes, 9), strict=True):
            assert str(path) in [match.path for match in matches if match.distance_squared == 0]
        index.verify()


@pytest.mark.parametrize("meta", MOSTLY_SQLITE)
@pytest.mark.parametrize(
    "index_type", ["flat", *(pytest.param(one, marks=pytest.mark.long) for one in INDEX_TYPES[1:])]
)
def test_readers_see_one_state_or_another(tmp_path, meta, index_type):
    """While a child builds, adds and removes: what is found is all of one state."""
    pair = tmp_path / "index.faiss", tmp_path / meta
    names_now = set(range(1, 11))
    index_changes.make(Change("build", range(1, 11), [], index_type), pair)
    index_changes.copy_of(pair)[0].parent.mkdir()
    process = faults.started(pair, index_type, seed=3, size=24)
    states, seen, searched, errors = {frozenset(names_now)}, [], [], []
    least, most = time.monotonic() + 0.7, time.monotonic() + 100  # busy machines take longer

    def read(opened):
        try:
            while (now := time.monotonic()) < least or (len(set(seen)) < 3 and now < most):
                with opened() as index:
                    searched.append(frozenset(writers.found(index, pair)))
                    seen.append(frozenset(writers.listed(index, pair)))
        except Exception as error:
            errors.append(error)

    with process, pdna.HashIndex.open(*pair) as kept:
        openers = (lambda: nullcontext(kept)), (lambda: pdna.HashIndex.open(*pair))
        readers = [threading.Thread(target=read, args=(opener,)) for opener in openers]
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join()
        process.kill()
        lines = process.stdout.read().splitlines()
    if errors:
        raise errors[0]
    for report in index_changes.reports(lines):
        names_now = report.change.applied(names_now)
        states.add(frozenset(names_now))
    assert set(seen) <= states
    if index_type.startswith("HNSW"):  # a graph may not lead to every item
        assert all(any(names <= state for state in states) for names in searched)
    else:
        assert set(searched) <= states
    assert len(set(seen)) >= 3, "a writer that writes nothing disturbs nobody"


@pytest.mark.long
@pytest.mark.scaled
def test_programs_write_and_read_at_once(tmp_path, meta):
    """Some of them are killed. `python tests/faults.py --writers 8` does the same for longer."""
    n_writers, seconds = scaled(2, 8), scaled(2, 60)
    seen = writers.write_at_once(tmp_path / "index", meta, n_writers, 1, seconds)
    assert all(seen[row] for row in ("kills", "lists", "searches", "reported update"))
    assert seen["states seen"] > 3


@pytest.mark.long
def test_writers_notice_a_program_that_takes_no_lock(tmp_path, capfd):
    def write_often():
        for attempt in range(20):  # on a busy machine, they may write after each other
            folder = tmp_path / str(attempt)
            writers.write_at_once(folder, "meta.json", 3, 0, 4, sabotage="takes no lock")

    with pytest.raises(LostError):
        write_often()


def test_an_answer_that_was_never_there_is_noticed():
    """Of two writers: one adds 1, 2, and removes 1; the other adds 10**9."""
    histories = [writers.History(), writers.History()]
    for history, added in zip(histories, ([1, 2], [10**9]), strict=True):
        lines = [[0, []]]
        for at, name in enumerate(added, 1):
            lines.append([10 * at, "add", [name, name + 1], [], "flat", ""])
            lines.append([[name], 10 * at + 5])
        history.follow(list(map(json.dumps, lines)))
    removal = [[30, "remove", [0, 0], [1], "flat", ""]]
    histories[0].follow(list(map(json.dumps, [[26, [[1, 1], [2, 2]]], *removal])))
    histories[0].follow([json.dumps([40, [[2, 2]]])])
    assert histories[0].names == {2}

    def check(*answers):
        answers = [
            writers.Answer(begun, ended, True, {"0": digest(one), "1": digest(other)})
            for begun, ended, one, other in answers
        ]
        return writers.check_answers(answers, histories)

    digest, other = writers.digest, [10**9]
    assert check((12, 13, [1], []), (12, 13, [1], other), (16, 25, [1, 2], other)) == 3
    assert check((35, 36, [1, 2], other), (35, 36, [2], other), (50, 51, [2], other)) == 2
    for answers, words in (
        ([(12, 13, [1, 3], [])], "there never was"),
        ([(12, 13, [1, 2], other)], "had not begun"),
        ([(16, 18, [1], [])], "lacks what had been reported"),
        ([(41, 42, [1, 2], other)], "lacks what had been reported"),
        ([(12, 13, [1], []), (12, 13, [], other)], "what the other one lacks"),
    ):
        with pytest.raises(LostError, match=words):
            check(*answers)
    for items, words in (([], "1 lost, 0 more"), ([[2, 3]], "another id")):
        with pytest.raises(LostError, match=words):
            histories[0].follow([json.dumps([50, items])])


@needs("/proc")
def test_a_reader_in_the_same_program_takes_no_lock_away(tmp_path):
    """To close a file gives back all locks that a process has on it, SQLite's too."""
    pair = save_index(tmp_path, HASHES[:5], "meta.sqlite")
    writer = pdna.HashIndex.open(*pair)
    writer.add(["/new"], HASHES[5:6])
    before = locks(pair[1])
    assert before
    with pdna.HashIndex.open(*pair) as reader:
        assert len(list(reader.items())) == 5
        reader.search(HASHES[:1])
        assert locks(pair[1]) == before
    assert locks(pair[1]) == before
    writer.save()


def test_a_reader_of_what_was_replaced_leaves_the_journal(tmp_path, monkeypatch):
    """SQLite finds a journal by its name, and takes it for one of the file that it has open."""
    monkeypatch.setattr("photodna_nb.index.sqlite_store._ROWS_A_PAGE", 2)
    monkeypatch.setattr("photodna_nb.index.sqlite_file.LOCK_TIMEOUT_SECONDS", 0.1)
    pair = save_index(tmp_path, HASHES[:5], "meta.sqlite")
    with pdna.HashIndex.open(*pair) as reader, pdna.HashIndex.create(*pair, overwrite=True) as new:
        items = reader.items()
        next(items)
        new.save()
        new._session.store._file.connection.execute(
            "PRAGMA cache_size = 1"
        )  # so that pages are written at once
        new.add(names(1000), hashes_of(range(1000)))
        journal = tmp_path / "meta.sqlite-journal"
        assert journal.read_bytes()[0], "SQLite would look at it"
        with suppress(pdna.IndexFileError):  # it is in use, by then
            list(items)
        assert journal.exists()
        new.save()
        assert len(list(reader.items())) == 1000


def locks(path):
    """The locks that the system keeps on a file."""
    table = "/proc/locks"
    if not os.path.exists(table):
        pytest.skip("no /proc/locks")
    with open(table) as file:
        inode = f":{path.stat().st_ino} "
        return [line.split(maxsplit=1)[1] for line in file if inode in line]


# Full disks.

FULL = r"cannot be (used|written) \((No space left on device|database or disk is full)\)"


@pytest.fixture
def disk(tmp_path):
    """A disk of its own, of 16 megabytes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(folder)]
    try:
        done = subprocess.run(mount, capture_output=True, check=False)
    except OSError as error:
        pytest.skip(f"no disk can be mounted: {error}")
    if done.returncode:
        pytest.skip(f"no disk can be mounted: {done.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(folder, spared=0):
    """Fill the disk but for some kilobytes."""
    with open(folder / "filling", "wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(1 << 20))
        except OSError:
            file.truncate(max(0, file.tell() - 1024 * spared))


@pytest.mark.scaled
@pytest.mark.parametrize("index_type", faults.INDEX_TYPES)
@pytest.mark.parametrize("spared", [400] if TEST_SCALE == 1 else [0, 8, 400, 900])
def test_a_full_disk(disk, meta, index_type, spared):
    """Wherever it gets full: an error, the files as they were, and then all works again."""
    pair = save_index(disk, hashes_of(range(300)), meta, index_type)
    before = pair[1].read_bytes()
    index = pdna.HashIndex.open(*pair)
    fill(disk, spared)
    with pytest.raises(pdna.IndexFileError, match=FULL):
        change(index)
    with pdna.HashIndex.open(*pair) as other:
        assert len(list(other.items())) == 300
        assert answered(other, hashes_of([7])[0], 1) == [(8, 0)]
        other.verify()
    assert pair[1].read_bytes() == before
    os.unlink(disk / "filling")
    index.close()
    left = {pair[0].name, pair[1].name, pair[1].name + ".lock"}
    assert set(os.listdir(disk)) <= left, "no temporary file stays behind"
    with pdna.HashIndex.open(*pair) as index:
        change(index)
        assert len(list(index.items())) == 3299
    with pdna.HashIndex.open(*pair) as index:
        assert answered(index, hashes_of([3299])[0], 1) == [(3300, 0)]
        index.verify()


def change(index):
    index.add(names(3000, 300), hashes_of(range(300, 3300)))
    index.remove([1])
    index.save()


@pytest.mark.parametrize("index_type", faults.INDEX_TYPES)
def test_a_new_index_on_a_full_disk(disk, meta, index_type):
    pair = disk / "index.faiss", disk / meta
    index = pdna.HashIndex.create(*pair, index_type=index_type)
    for spared in (0, 4, 100, 250):
        fill(disk, spared)

        def build():
            index.add(names(1000), hashes_of(range(1000)))
            index.save()

        with pytest.raises(pdna.IndexFileError, match=FULL):
            build()
        assert not pair[1].exists()
        os.unlink(disk / "filling")
    if len(index) == 0:
        index.add(names(1000), hashes_of(range(1000)))
    index.save()
    with pdna.HashIndex.open(*pair) as again:
        assert len(again) == 1000
        again.verify()


@pytest.mark.parametrize("spared", [0, 8, 100])
def test_an_index_is_not_replaced_on_a_full_disk(disk, meta, spared):
    pair = save_index(disk, hashes_of(range(300)), meta)
    fill(disk, spared)

    def replace():
        with pdna.HashIndex.create(*pair, overwrite=True) as index:
            index.add(names(3000), hashes_of(range(3000)))
            index.save()

    with pytest.raises(pdna.IndexFileError, match=FULL):
        replace()
    with pdna.HashIndex.open(*pair) as index:
        assert len(index) == 300
        index.verify()
    os.unlink(disk / "filling")
    replace()
    with pdna.HashIndex.open(*pair) as index:
        assert len(index) == 3000
        index.verify()


def test_what_could_not_be_written_can_be_saved_later(disk):
    """As long as it was the index file that did not fit, the changes are still there."""
    pair = save_index(disk, hashes_of(range(300)))
    index = pdna.HashIndex.open(*pair)
    index.add(names(400, 300), hashes_of(range(300, 700)))
    fill(disk)
    for _ in range(2):
        with pytest.raises(pdna.IndexFileError, match=rf"index\.faiss: {FULL}"):
            index.save()
    os.unlink(disk / "filling")
    index.save()
    with pdna.HashIndex.open(*pair) as again:
        assert len(again) == 700
        again.verify()
