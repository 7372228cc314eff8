"""Search in a local index: files in FAISS's formats, the metadata, and how both are kept."""

from photodna_nb.index.hash_index import Added, HashIndex, Match
from photodna_nb.index.metadata import LOW_DETAIL, Item

__all__ = ["LOW_DETAIL", "Added", "HashIndex", "Item", "Match"]
