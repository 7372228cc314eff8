"""The images of an evaluation: data sets of originals, and transforms."""
