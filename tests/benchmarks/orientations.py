"""How far a permuted hash is from that of the turned picture: the table of docs/hash.md.

python tests/benchmarks/orientations.py          # drawn pictures
python tests/benchmarks/orientations.py FOLDER   # photographs (.jpg) of a folder

Each picture is shrunk to a square of each side; pictures with a shorter side are left out there.
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image

import photodna_nb as pdna

SIDES = (32, 64, 100, 150, 200, 300, 500, 800)
# But for the identity and the transposed picture, whose hashes are exact.
INEXACT = [k for k in range(8) if k not in (0, 1 + Image.Transpose.TRANSPOSE)]


def residues(picture):
    """Return the L2 distances of the six hashes that a permutation does not give exactly."""
    turned = [picture, *(picture.transpose(method) for method in Image.Transpose)]
    hashes = np.stack([pdna.hash_image(image) for image in turned])
    return pdna.distance(pdna.orientations(hashes[0]), hashes)[INEXACT]


def measure(originals, sides=SIDES):
    """Return the residues at each side, (pictures, 6)."""
    found = {side: [] for side in sides}
    for original in originals:
        for side in sides:
            if side <= min(original.size):
                square = original.convert("RGB").resize((side, side), Image.Resampling.LANCZOS)
                found[side].append(residues(square))
    return {side: np.stack(rows) for side, rows in found.items() if rows}


def table(measured):
    """Yield the lines of the table."""
    yield "| side in pixels | pictures | median | 99 % are up to | largest |"
    yield "|---|---|---|---|---|"
    for side, values in measured.items():
        quantiles = [np.quantile(values, share) for share in (0.5, 0.99, 1)]
        yield f"| {side} | {len(values)} | " + " | ".join(f"{one:.0f}" for one in quantiles) + " |"


def opened(folder):
    """Yield the pictures of a folder."""
    for path in sorted(Path(folder).rglob("*.jpg")):
        with Image.open(path) as image:
            yield image.copy()


def drawn(number=100, side=800):
    """Yield drawn pictures."""
    yield from (one.open() for one in pdna.datasets.dead_leaves(number, (side, side)))


if __name__ == "__main__":
    print("\n".join(table(measure(opened(sys.argv[1]) if sys.argv[1:] else drawn()))))
