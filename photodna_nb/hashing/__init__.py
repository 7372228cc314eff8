"""Hashing: pixels of images, stages of the hash, many files."""
