"""Search in a local index: files in FAISS's formats, the metadata, and how both are kept."""

from photodna_nb.checks import LOW_DETAIL
from photodna_nb.index.hash_index import HashIndex
from photodna_nb.index.metadata import Item
from photodna_nb.index.records import Added, FaissMatch, Match, Synced
from photodna_nb.index.search_results import SearchResults, SearchRow, SearchTable
from photodna_nb.index.verification import Verification
from photodna_nb.item_record import ItemRecord

__all__ = [
    "LOW_DETAIL",
    "Added",
    "FaissMatch",
    "HashIndex",
    "Item",
    "ItemRecord",
    "Match",
    "SearchResults",
    "SearchRow",
    "SearchTable",
    "Synced",
    "Verification",
]
