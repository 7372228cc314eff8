"""Draw the figure of the README: one picture going through the stages of the hash.

python data/draw_figures.py
"""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl

mpl.use("agg")

import matplotlib.pyplot as plt
from PIL import Image

import photodna_nb as pdna

DATA = Path(__file__).parent


def main() -> None:
    """Write data/figures/stages.png."""
    folder = DATA / "figures"
    folder.mkdir(exist_ok=True)
    with Image.open(DATA / "pictures" / "harbour.jpg") as image:
        figure = pdna.plots.plot_trace(image, pdna.trace(image))
    figure.savefig(folder / "stages.png", dpi=100)
    plt.close(figure)


if __name__ == "__main__":
    main()
