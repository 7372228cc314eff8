"""Distances of hashes: metrics, and all pairs of many hashes."""
