"""Search in a local index: FAISS (only here), the metadata, and their files."""

from photodna_nb.index.hash_index import Added, HashIndex, Match

__all__ = ["Added", "HashIndex", "Match"]
