"""The pictures of an evaluation: originals and transforms."""
