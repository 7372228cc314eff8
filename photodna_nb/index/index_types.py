"""The types of index files: two exact ones, and FAISS factory strings of two families.

Grammar of the approximate types::

    type  = "IVF" lists ["_HNSW" links] "," codec  |  "HNSW" links ["," codec]
    codec = "Flat" | "SQ8" | "PQ" m                (m divides 144)
"""

from __future__ import annotations

import re
from typing import NamedTuple

from photodna_nb import checks
from photodna_nb.checks import HASH_BYTES
from photodna_nb.errors import ArgumentError

EXACT_TYPES = ("flat", "uint8")
GRAMMAR = "flat, uint8, IVF<lists>,<codec> or HNSW<links>[,<codec>] with codec Flat, SQ8 or PQ<m>"
# Below 39 points a centroid, FAISS warns that there are too few to train it; a PQ trains 256.
ITEMS_PER_LIST = 39
_PQ_ITEMS = 256 * ITEMS_PER_LIST
_NUMBER = r"[1-9]\d{0,7}"
_APPROXIMATE = re.compile(
    rf"(?:IVF(?P<lists>{_NUMBER})(?:_HNSW(?P<coarse_links>{_NUMBER}))?(?=,)|HNSW(?P<links>{_NUMBER}))"
    rf"(?:,(?:Flat|SQ8|PQ(?P<m>{_NUMBER})))?"
)


class IndexType(NamedTuple):
    """An index type, once its name has been read.

    name : str
        The name as it was given.
    lists : int
        Number of inverted lists; 0 for other types than IVF.
    links : int
        Number of links of each item in the HNSW graph; 0 for other types than HNSW.
    quantizes : bool
        Whether a product quantizer is trained.
    """

    name: str
    lists: int = 0
    links: int = 0
    quantizes: bool = False

    @property
    def exact(self) -> bool:
        """Whether a search finds every match."""
        return self.name in EXACT_TYPES

    @property
    def least_items(self) -> int:
        """Number of items that training needs."""
        return max(ITEMS_PER_LIST * self.lists, _PQ_ITEMS * self.quantizes)

    def effort(self, nprobe: int | None, ef_search: int | None) -> int | None:
        """Return the search parameter of the type, if it was given; raise one of another family."""
        parameters = {
            "nprobe": (nprobe, self.lists, "IVF"),
            "ef_search": (ef_search, self.links, "HNSW"),
        }
        for name, (value, ours, family) in parameters.items():
            if value is not None:
                checks.integer(name, value, 1)
                if not ours:
                    raise ArgumentError(
                        f"{name}: goes with index types of the {family} family, and this index is "
                        f"{self.name}; leave it out"
                    )
        return nprobe or ef_search

    def check_items(self, number: int) -> None:
        """Raise an ArgumentError if so many items are too few to train the type."""
        if self.exact or number >= self.least_items:
            return
        lists = number // ITEMS_PER_LIST
        problem = f"index_type: {self.name} needs at least {self.least_items:,} items"
        if self.lists and lists and not (self.quantizes and number < _PQ_ITEMS):
            other = re.sub(r"\d+", str(lists), self.name, count=1)
            remedy = f"the largest number of lists for them is {lists}: use {other}"
        else:
            remedy = "use flat, uint8 or HNSW32, or add more items first"
        raise ArgumentError(f"{problem}, and there are {number:,}; {remedy}")


def parse(name: str) -> IndexType:
    """Return the index type of a name.

    Raises
    ------
    ArgumentError
        The name is none of the grammar above.
    """
    if name in EXACT_TYPES:
        return IndexType(name)
    read = _APPROXIMATE.fullmatch(name) if isinstance(name, str) else None
    if read is not None:
        lists, coarse, links, m = (int(read[key] or 0) for key in read.re.groupindex)
        if 2 <= (links or coarse or 2) <= 512 and HASH_BYTES % (m or 1) == 0:
            return IndexType(name, lists, links, quantizes=m > 0)
    raise ArgumentError(f"index_type: got {name!r}, needs {GRAMMAR}; m divides {HASH_BYTES}")
