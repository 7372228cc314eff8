"""Versions of what hashes and answers depend on."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

# The distributions that may bring a package: pip and conda call FAISS by different names.
_DISTRIBUTIONS = {
    "NumPy": ("numpy",),
    "SciPy": ("scipy",),
    "Numba": ("numba",),
    "Pillow": ("pillow",),
    "FAISS": ("faiss-cpu", "faiss", "faiss-gpu"),
}


def installed_version(package: str) -> str | None:
    """Return the version of an installed package, or None if it is not there.

    Parameters
    ----------
    package : str
        ``"NumPy"``, ``"SciPy"``, ``"Numba"``, ``"Pillow"``, ``"FAISS"``, or the name of a
        distribution.
    """
    for distribution in _DISTRIBUTIONS.get(package, (package,)):
        try:
            return version(distribution)
        except PackageNotFoundError:
            continue
    return None
