"""The hash as a signal type of ThreatExchange, and its manifest for `tx config extensions add`.

The signals are PhotoDNA-like hashes in base64. The package is not affiliated with those who license
PhotoDNA or maintain ThreatExchange; the licensed extension has a signal type of the same name,
and cannot be used beside this one.
"""

from __future__ import annotations

import pickle
import random
import threading
import warnings
from copy import copy
from pathlib import Path
from typing import Any, BinaryIO, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from photodna_nb.checks import HASH_BYTES, LOW_DETAIL
from photodna_nb.errors import (
    ArgumentError,
    ArgumentTypeError,
    ImageError,
    LowDetailWarning,
    optional_package,
)
from photodna_nb.hashing.low_detail import hash_of_file
from photodna_nb.index import HashIndex
from photodna_nb.pairs import metrics
from photodna_nb.printable import printable
from photodna_nb.tables import hash_text
from photodna_nb.tables.table import HashTable

with optional_package(__name__, "threatexchange", "threatexchange"):
    from threatexchange.content_type.content_base import ContentType
    from threatexchange.content_type.photo import PhotoContent
    from threatexchange.extensions.manifest import ThreatExchangeExtensionManifest
    from threatexchange.signal_type import index, signal_base

__all__ = ["TX_MANIFEST", "HashDistance", "PhotodnaIndex", "PhotodnaSignal"]

T = TypeVar("T")

_base64 = hash_text.FORMS["base64"]
# Hashes that are appended at a time: their items take ten times the memory of the hashes.
_ROWS_AT_ONCE = 1 << 14
_REMEDY = "build the index anew: tx dataset --rebuild-indices"

_EXAMPLES = (
    # data/pictures/harbour.jpg
    "DEcPkyJgHINJRTSBK0wLfB43E2qZCSpWDTUhQx4nHlINPBlfGyEXVysUH0YzHTpMAB"
    "sVFgAoDhgAMgcVBEIEQF0LBXFODSFJDCXQDAFJ5wsJSMoDBX6rDHYfwBthBq4UJw5f"
    "DSIqwhIUjs89DbdoPOcfnkZTGNAaMAUmGRZLHjEAogljCZY7J/8sTU5KGRuC",
    # data/pictures/harbour_recompressed.jpg
    "DUgPlSJiHYRJRjaDLEwLfB84E2uaCSpXDTUjRB8oIFMNPRthHCEYWCsVH0Y0HDtLAB"
    "sVGAAoDhoAMgcWBEEEQFwLBW9ODCFJDCXQDAFK5wwKSckEBXyrDXMevhthBa0UJw1e"
    "DSEqwhMTjc89DbdnO+cfnkZTF9EaLwQnGBZKHTAAogljCZU6J/8sTU1KGhyC",
    # data/pictures/mountains.jpg
    "FSICVhMXAWINKwo+Bl4YOEMxWiInLU8bOQkMMx4xMysSGyBFFTAZOKYkWiVOv4sbXj"
    "VfE35ygB1EnrpXSDaiL5UYkDBmglMmJqSJD3QXaxo4VNUgISK4CiQMgANEDVEDHOFT"
    "EGE1QTE1ejuzPCgqrFIUKnWIBmEPCMt1BR1dNDIYPFcjHh90IpkKciakCm4E",
)


class HashDistance(index.SignalSimilarityInfoWithSingleDistance[float]):
    """The L2 distance of two hashes, 0 to 3060, of a match or a comparison."""

    def pretty_str(self) -> str:
        """Return the distance as the command line of photodna_nb prints it."""
        return f"{self.distance:.4f}"


class PhotodnaIndex(index.SignalTypeIndex[T]):
    """An index of hashes in memory, each with an entry; it grows, pickles, and is searched exactly.

    Threads may add and query at once. A subclass can set other limits; its pickles need it.

    Attributes
    ----------
    MAX_DISTANCE : float or exact number
        Largest L2 distance of a match, inclusive and exact.
    ORIENTATIONS : bool
        Whether queries match in all eight orientations, mirrored and rotated.
    """

    MAX_DISTANCE: metrics.Limit = 100
    ORIENTATIONS = False

    def __init__(self) -> None:
        self._index = HashIndex.in_memory()
        self._entries: list[T] = []
        # Hashes that the index lacks yet: many at once are appended in the time of a few.
        self._pending: list[bytes] = []
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {len(self)} entries>"

    def __len__(self) -> int:
        """Return the number of entries."""
        return len(self._entries)

    def add(self, signal_str: str, entry: T) -> None:
        """Append an entry under a hash, which may have others.

        Parameters
        ----------
        signal_str : str
            The hash, as `PhotodnaSignal.validate_signal_str` takes it.
        entry : object
            What `query` returns for it; pickled with the index.

        Raises
        ------
        ArgumentTypeError, ArgumentError
            As `PhotodnaSignal.validate_signal_str` raises them.
        """
        content = _hash_of(signal_str).tobytes()
        with self._lock:
            self._entries.append(entry)
            self._pending.append(content)

    def query(self, query: str) -> list[index.IndexMatch[T]]:
        """Return all entries within the largest distance, by distance, then as they were added.

        Parameters
        ----------
        query : str
            The hash, as for `add`; the empty text of an image without a hash has no matches.

        Returns
        -------
        list of IndexMatch
            Each with an entry as `metadata`, and a `HashDistance` as `similarity_info`.

        Raises
        ------
        ArgumentTypeError, ArgumentError
            As `PhotodnaSignal.validate_signal_str` raises them.
        """
        if query == "":
            return []
        hashed = _hash_of(query)
        with self._lock:
            self._append_pending()
        # One more than there are: an index without an item is searched, too.
        (matches,) = self._index.search(
            hashed,
            len(self._index) + 1,
            max_distance=self.MAX_DISTANCE,
            orientations=self.ORIENTATIONS,
        )
        return [
            index.IndexMatchUntyped(HashDistance(match.distance), self._entries[int(match.path)])
            for match in matches
        ]

    @classmethod
    def deserialize(cls, fin: BinaryIO) -> Self:
        """Return the index that `serialize` of this or another such class wrote.

        The limits are those of this class, as where another extension is added later. Indexes of
        earlier versions are read.

        Raises
        ------
        ArgumentError, ArgumentTypeError
            The file is damaged, of a later version, or has an index of another signal type.
        """
        try:
            loaded = pickle.load(fin)
        except Exception as error:  # whatever damage or a missing class leads to
            problem = f"cannot be read ({type(error).__name__}: {error})"
            raise ArgumentError(f"fin: {printable(problem)}; {_REMEDY}") from error
        if not isinstance(loaded, PhotodnaIndex):
            kind = type(loaded).__name__
            raise ArgumentTypeError(f"fin: holds {kind}, needs a PhotodnaIndex; {_REMEDY}")
        other = cls()
        other.__setstate__(loaded.__getstate__())
        return other

    def _append_pending(self) -> None:
        """Append the pending hashes to the index, each with the number of its entry as a label."""
        while self._pending:
            batch = self._pending[:_ROWS_AT_ONCE]
            hashes = np.frombuffer(b"".join(batch), np.uint8).reshape(-1, HASH_BYTES)
            first = len(self._index)
            labels = [str(row) for row in range(first, first + len(batch))]
            self._index.add(HashTable(labels, hashes, np.full(len(batch), np.nan)))
            del self._pending[: len(batch)]

    def __getstate__(self) -> dict[str, Any]:
        with self._lock:
            self._append_pending()
            copies = {"_index": copy(self._index), "_entries": self._entries.copy(), "_pending": []}
            state = vars(self) | copies
        del state["_lock"]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _lock=threading.Lock())


class PhotodnaSignal(
    signal_base.SimpleSignalType, signal_base.BytesHasher, signal_base.CanGenerateRandomSignal
):
    """A PhotoDNA-like hash of a photo as a signal: 144 bytes in base64.

    Attributes
    ----------
    INDEX : type of PhotodnaIndex
        Index of these signals; it has the largest distance of a match.
    MIN_DETAIL : float
        Least detail of an image that gets a hash, in grey levels: hashes of flat images are near
        each other whatever the images show.
    """

    INDEX: type[PhotodnaIndex[Any]] = PhotodnaIndex
    MIN_DETAIL: float = LOW_DETAIL

    @classmethod
    def get_name(cls) -> str:
        """Return "photodna", by which exchanges know these signals."""
        return "photodna"

    @classmethod
    def get_content_types(cls) -> list[type[ContentType]]:
        """Return the content type of photos."""
        return [PhotoContent]

    @classmethod
    def get_index_cls(cls) -> type[PhotodnaIndex[Any]]:
        """Return `INDEX`."""
        return cls.INDEX

    @classmethod
    def validate_signal_str(cls, signal_str: str) -> str:
        """Return a hash in base64, from base64, hexadecimal digits or 144 integers.

        Raises
        ------
        ArgumentTypeError, ArgumentError
            `signal_str` is no text, or none of a hash; or the hash of an image without any detail.
        """
        return _base64(_hash_of(signal_str))

    @classmethod
    def compare_hash(
        cls, hash1: str, hash2: str, max_distance: metrics.Limit | None = None
    ) -> signal_base.SignalComparisonResult:
        """Return the L2 distance of two hashes, and whether it is at or below a limit.

        Parameters
        ----------
        hash1, hash2 : str
            Hashes, as `validate_signal_str` takes them.
        max_distance : float or exact number, optional
            The limit, inclusive and exact; that of `INDEX` if left out.

        Returns
        -------
        SignalComparisonResult
            Whether they match, and their `HashDistance`.

        Raises
        ------
        ArgumentTypeError, ArgumentError
            As `validate_signal_str` raises them, or the limit is no number of at least 0.
        """
        limit = cls.INDEX.MAX_DISTANCE if max_distance is None else max_distance
        squared = metrics.distance(
            _hash_of(hash1),
            _hash_of(hash2),
            "sqeuclidean",
            orientations=cls.INDEX.ORIENTATIONS,
        )
        return signal_base.SignalComparisonResult(
            squared <= metrics.max_distance_squared(None, limit), HashDistance(squared**0.5)
        )

    @classmethod
    def hash_from_file(cls, file: Path) -> str:
        """Return the hash of an image file; empty, with a warning, if it has none.

        Warns
        -----
        LowDetailWarning
            The image has less detail than `MIN_DETAIL`.
        UserWarning
            The file cannot be read, or is no image.
        """
        return cls._hash(file, printable(str(file)))

    @classmethod
    def hash_from_bytes(cls, bytes_: bytes) -> str:
        """Return the hash of the content of an image file: see `hash_from_file`."""
        return cls._hash(bytes_, "the image")

    @classmethod
    def _hash(cls, file: Path | bytes, name: str) -> str:
        try:
            hashed = hash_of_file(file)
        except ImageError as error:
            warnings.warn(f"no photodna signal: {error}", stacklevel=3)
            return ""
        # A hash of zeros is none, whatever the least detail is.
        if hashed.detail < cls.MIN_DETAIL or not hashed.hash.any():
            warnings.warn(
                f"no photodna signal: {name}: has {hashed.detail:.1f} grey levels of detail, "
                "and such images match whatever they show",
                LowDetailWarning,
                stacklevel=3,
            )
            return ""
        return _base64(hashed.hash)

    @classmethod
    def get_random_signal(cls) -> str:
        """Return 144 random bytes as a signal, for tests of load."""
        return _base64(np.frombuffer(random.randbytes(HASH_BYTES), np.uint8))

    @staticmethod
    def get_examples() -> list[str]:
        """Return the hashes of three drawn pictures; the second shows the first, recompressed."""
        return list(_EXAMPLES)


def _hash_of(signal_str: str) -> NDArray[np.uint8]:
    if not isinstance(signal_str, str):
        kind = type(signal_str).__name__
        raise ArgumentTypeError(f"signal_str: got {kind}, needs a text of a hash")
    try:
        content = hash_text.parse(signal_str)
    except ValueError as error:
        raise ArgumentError(f"signal_str: {signal_str[:20]!r} {error}") from error
    if not any(content):
        raise ArgumentError(
            "signal_str: all 144 bytes are zero, as of any image without detail; leave it out"
        )
    return np.frombuffer(content, np.uint8)


TX_MANIFEST = ThreatExchangeExtensionManifest(signal_types=(PhotodnaSignal,))
