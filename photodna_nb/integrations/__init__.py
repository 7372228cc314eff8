"""The hash in other programs: a module for each, which needs that program's package."""
