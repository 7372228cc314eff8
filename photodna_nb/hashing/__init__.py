"""From pictures to hashes: pixels, stages, many files."""
