"""The files of an index: made, opened, written anew, copied and closed."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

from photodna_nb.errors import ArgumentError, ArgumentTypeError
from photodna_nb.index import arguments, index_types, stores
from photodna_nb.index.arguments import PathLike
from photodna_nb.index.memory_store import ItemColumns, MemoryStore
from photodna_nb.index.session import IndexSession
from photodna_nb.printable import printable

if TYPE_CHECKING:
    from photodna_nb.index.approximate import IndexRecall


class IndexFiles:
    """An open index, in two files or in memory, without what is done with its items."""

    def __init__(self, session: IndexSession) -> None:
        self._session = session

    @classmethod
    def in_memory(cls) -> Self:
        """Return a new, empty index without files, searched exactly.

        It needs no `save`, can be copied and pickled, and `copy_to` writes it into files. Later
        versions of this program read the pickles of earlier ones.
        """
        return cls(IndexSession("", "", MemoryStore(ItemColumns())))

    @classmethod
    def create(
        cls,
        index_path: PathLike,
        meta_path: PathLike,
        *,
        index_type: str = "flat",
        overwrite: bool = False,
    ) -> Self:
        """Return a new, empty index; nothing is written before `save`.

        Parameters
        ----------
        index_path, meta_path : str or os.PathLike
            The two new files. The metadata is JSON or, if the name ends with ``.sqlite`` or
            ``.db``, an SQLite database.
        index_type : str
            ``"flat"``: float32, as ``oaphotodna.py`` writes it. ``"uint8"``: bytes, a quarter
            of the size, as exact. Or an approximate type of FAISS: ``"IVF<nlist>,<codec>"``,
            ``"IVF<nlist>_HNSW<M>,<codec>"``, ``"HNSW<M>"`` or
            ``"HNSW<M>,<codec>"``, with the codec ``Flat``, ``SQ8`` or ``PQ<m>``, m a
            divisor of 144; they are worthwhile from about a million items on.
        overwrite : bool
            Whether `save` may replace existing files of an index; other files are never replaced.

        Raises
        ------
        IndexFileError
            One of the files exists, and `overwrite` is False or it is of no index; or its
            folder does not exist or cannot be written.
        ArgumentError
            The two paths are the same file, or there is no such index type.
        """
        index_type = index_types.parse(index_type).name
        index_name, meta_name = arguments.two_files(index_path, meta_path)
        arguments.check_replaceable(index_name, meta_name)
        index = cls(_session(index_name, meta_name, new_type=index_type, overwrite=overwrite))
        index._session.check_new(index_name, meta_name)
        return index

    @classmethod
    def open(cls, index_path: PathLike, meta_path: PathLike) -> Self:
        """Return the index in two files, after a check that they belong together.

        Changes that the index file lacks, as after a kill, are added in memory.

        Parameters
        ----------
        index_path, meta_path : str or os.PathLike
            The two files, as `create` named them.

        Raises
        ------
        IndexFileError
            A file is missing, damaged or of no index, or the two do not belong together.
        """
        # The metadata is authoritative: errors in it come first.
        index = cls(_session(*arguments.two_files(index_path, meta_path)))
        try:
            index._session.load()
        except BaseException:
            index.close()
            raise
        return index

    @classmethod
    def open_or_create(
        cls, index_path: PathLike, meta_path: PathLike, *, index_type: str | None = None
    ) -> Self:
        """Return the index in two files or, if neither is there, a new one.

        Nothing is written before `save` or `sync`. If another program has written the files by
        then, the changes are made in its index. If the index file alone is missing, as after a
        kill, it is written anew from the metadata.

        Parameters
        ----------
        index_path, meta_path, index_type
            As for `create`; the type of a new index, which is flat if it is left out.

        Raises
        ------
        IndexFileError, ArgumentError
            As from `open` and `create`; or there is an index of another type.
        """
        files = arguments.two_files(index_path, meta_path)
        name = None if index_type is None else index_types.parse(index_type).name
        if os.path.lexists(files[0]) or os.path.lexists(files[1]):
            index = cls.open(*files) if os.path.lexists(files[0]) else cls.rebuild(*files)
            if name not in (None, index.index_type):
                index.close()
                raise ArgumentError(
                    f"index_type: got {name}, and {printable(files[0])} is of the type "
                    f"{index.index_type}; leave it out, or convert the index with rebuild "
                    "(--faiss-rebuild)"
                )
            return index
        # Another program may write the files from here on: `create` would refuse them.
        index = cls(_session(*files, new_type=name or "flat"))
        index._session.join = True
        return index

    @classmethod
    def rebuild(
        cls, index_path: PathLike, meta_path: PathLike, *, index_type: str | None = None
    ) -> Self:
        """Write the index file anew from the metadata, which holds every hash; return the index.

        Items that another program changed, or that are damaged, stay as they are: see `accepted`.

        Parameters
        ----------
        index_path, meta_path : str or os.PathLike
            The index to write, which may be missing or damaged, and the metadata to read.
        index_type : str, optional
            New type, see `create`; the type that it had if left out.

        Raises
        ------
        IndexFileError
            The metadata cannot be used, the index file is of no index, or cannot be written.
        ArgumentError
            The two paths are the same file, no such index type, or too few items for it.
        """
        name = None if index_type is None else index_types.parse(index_type).name
        index_name, meta_name = arguments.two_files(index_path, meta_path)
        arguments.check_replaceable(index_name)
        index = cls(_session(index_name, meta_name))
        try:
            index._session.begin_rebuild(name)
            index.save()
        except BaseException:
            index.close()
            raise
        return index

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def index_path(self) -> str:
        """Absolute path of the index file; empty in memory."""
        return self._session.index_path

    @property
    def meta_path(self) -> str:
        """Absolute path of the metadata; empty in memory."""
        return self._session.meta_path

    @property
    def index_type(self) -> str:
        """Type of the index file, see `create`."""
        return self._session.store.index_type

    @property
    def recall(self) -> IndexRecall | None:
        """Recall of the search against the exact answer, as measured; None for exact types."""
        return self._session.rows.recall

    @property
    def accepted(self) -> list[int]:
        """Ids of the items that `rebuild` accepted although their checksums did not hold."""
        return self._session.accepted

    def save(self) -> None:
        """Write the changes to both files, and release the lock.

        The metadata, which is authoritative, comes first. When this returns, the disk has it.

        Raises
        ------
        IndexFileError
            A file cannot be written. All files are as they were, and `save` can be called
            again, unless the error says that the changes are gone, or that the metadata has them.
        ArgumentError
            There are too few items for an approximate index type, or the index is in memory.
        """
        if self._session.in_memory:
            raise ArgumentError("index: is in memory and has no files; copy_to writes it into some")
        self._session.commit()

    def copy_to(
        self,
        index_path: PathLike,
        meta_path: PathLike,
        *,
        index_type: str | None = None,
        overwrite: bool = False,
    ) -> Self:
        """Write all items, with their ids, into another pair of files, and return that index.

        Parameters
        ----------
        index_path, meta_path, index_type, overwrite
            As for `create`; the type of this index if it is left out.
        """
        index_type = index_type or self.index_type
        other = self.create(index_path, meta_path, index_type=index_type, overwrite=overwrite)
        for name in ("index_path", "meta_path"):
            if os.path.realpath(getattr(other, name)) == os.path.realpath(getattr(self, name)):
                got = printable(getattr(other, name))
                raise ArgumentError(f"{name}: got {got} of this index, needs another file")
        try:
            with self._session.current():
                other._session.copy_from(self._session.store)
            other.save()
        except BaseException:
            other.close()
            raise
        return other

    def close(self) -> None:
        """Discard changes that were not saved, and release the lock."""
        self._session.close()

    def __getstate__(self) -> Any:
        """Return a copy of the items; refuse where files and a lock are open."""
        if not self._session.in_memory:
            raise ArgumentTypeError(
                "a HashIndex with files cannot be copied; open it again where it is needed"
            )
        with self._session.current():
            return self._session.store.__getstate__()

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        columns = ItemColumns.of_state(state)
        self._session = IndexSession("", "", MemoryStore(columns))
        self._session.rows.append(columns.hashes, columns.ids)

    def __del__(self) -> None:
        with suppress(Exception):  # when the interpreter ends, parts of it may be gone
            self.close()


def _session(
    index_name: str, meta_name: str, new_type: str | None = None, overwrite: bool = False
) -> IndexSession:
    meta_path = os.path.abspath(meta_name)
    store = stores.open_store(meta_path, new_type)
    return IndexSession(os.path.abspath(index_name), meta_path, store, overwrite=overwrite)
