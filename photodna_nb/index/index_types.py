"""The types of index files: two exact ones, and FAISS factory strings of two families.

Grammar of the approximate types::

    type  = "IVF" nlist ["_HNSW" M] "," codec  |  "HNSW" M ["," codec]
    codec = "Flat" | "SQ8" | "PQ" m                (m divides 144)
"""

from __future__ import annotations

import re
from typing import NamedTuple

from photodna_nb import checks
from photodna_nb.checks import HASH_BYTES
from photodna_nb.errors import ArgumentError

EXACT_TYPES = ("flat", "uint8")
GRAMMAR = "flat, uint8, IVF<nlist>,<codec> or HNSW<M>[,<codec>] with codec Flat, SQ8 or PQ<m>"
# Below 39 points a centroid, FAISS warns that there are too few to train it; a PQ trains 256.
ITEMS_PER_LIST = 39
_PQ_ITEMS = 256 * ITEMS_PER_LIST
_NUMBER = r"[1-9]\d{0,7}"
_APPROXIMATE = re.compile(
    rf"(?:IVF(?P<nlist>{_NUMBER})(?:_HNSW(?P<coarse_m>{_NUMBER}))?(?=,)|HNSW(?P<hnsw_m>{_NUMBER}))"
    rf"(?:,(?:Flat|SQ8|PQ(?P<pq_m>{_NUMBER})))?"
)


class IndexType(NamedTuple):
    """An index type, once its name has been read.

    name : str
        The name as it was given.
    nlist : int
        Number of inverted lists of an IVF type; 0 for other types.
    hnsw_m : int
        Number of links of each item in the graph of an HNSW type, M in FAISS; 0 for other types.
    quantizes : bool
        Whether a product quantizer is trained.
    """

    name: str
    nlist: int = 0
    hnsw_m: int = 0
    quantizes: bool = False

    @property
    def exact(self) -> bool:
        """Whether a search finds every match."""
        return self.name in EXACT_TYPES

    @property
    def least_items(self) -> int:
        """Number of items that training needs."""
        return max(ITEMS_PER_LIST * self.nlist, _PQ_ITEMS * self.quantizes)

    def search_parameter(self, nprobe: int | None, ef_search: int | None) -> int | None:
        """Return the search parameter of the type, if it was given; raise one of another family."""
        parameters = {
            "nprobe": (nprobe, self.nlist, "IVF"),
            "ef_search": (ef_search, self.hnsw_m, "HNSW"),
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
        nlist = number // ITEMS_PER_LIST
        problem = f"index_type: {self.name} needs at least {self.least_items:,} items"
        if self.nlist and nlist and not (self.quantizes and number < _PQ_ITEMS):
            other = re.sub(r"\d+", str(nlist), self.name, count=1)
            remedy = f"the largest number of lists for them is {nlist}: use {other}"
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
        nlist, coarse_m, hnsw_m, pq_m = (int(read[key] or 0) for key in read.re.groupindex)
        if 2 <= (hnsw_m or coarse_m or 2) <= 512 and HASH_BYTES % (pq_m or 1) == 0:
            return IndexType(name, nlist, hnsw_m, quantizes=pq_m > 0)
    raise ArgumentError(f"index_type: got {name!r}, needs {GRAMMAR}; m divides {HASH_BYTES}")
