"""Tables of hashes and their file formats."""
