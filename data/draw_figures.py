"""Draw the figures of the README, or every figure that there is.

python data/draw_figures.py                    # data/figures: stages.png, thresholds.png
python data/draw_figures.py --gallery FOLDER   # all of pdna.plots, and FOLDER/index.html
"""

from __future__ import annotations

import argparse
import html
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl

mpl.use("agg")

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from PIL import Image

import photodna_nb as pdna
from photodna_nb import plots

DATA = Path(__file__).parent
EDITS = ("jpeg:30", "resize:50", "crop:2", "crop:5", "rotate:1", "noise:25", "mirror")
THRESHOLDS = {"production": 200, "loose": 400}
STYLES = {"light": "default", "dark": "dark_background"}


@dataclass(frozen=True)
class Material:
    """What the figures of the gallery are drawn from, each part made when it is asked for.

    originals: how many pictures the evaluation draws for itself.
    """

    originals: int = 300

    @cached_property
    def pictures(self) -> dict[str, Image.Image]:
        """The sample pictures, by the names of their files."""
        return {path.name: _opened(path) for path in sorted((DATA / "pictures").iterdir())}

    @cached_property
    def image(self) -> Image.Image:
        """The picture that most figures show."""
        return self.pictures["harbour.jpg"]

    @cached_property
    def trace(self) -> pdna.HashTrace:
        """Its stages."""
        return pdna.trace(self.image)

    @cached_property
    def hashes(self) -> dict[str, np.ndarray]:
        """Of the sample pictures."""
        return {name: pdna.hash_image(image) for name, image in self.pictures.items()}

    @cached_property
    def matches(self) -> list[pdna.Match]:
        """What a search for the picture finds, and a file that has gone since."""
        paths = [str(DATA / "pictures" / name) for name in self.hashes]
        with tempfile.TemporaryDirectory() as folder:
            files = Path(folder) / "index.faiss", Path(folder) / "metadata.json"
            with pdna.HashIndex.create(*files) as index:
                index.add(paths, np.stack(list(self.hashes.values())))
                index.add([str(DATA / "gone.jpg")], self.hashes["harbour_cropped.jpg"][None])
                found = index.search(self.hashes["harbour.jpg"], 11, orientations=True)
        return found[0]

    @cached_property
    def measured(self) -> pdna.evaluation.Measured:
        """What a small evaluation says of drawn pictures."""
        return pdna.evaluation.measure(self.results.counts)

    @cached_property
    def results(self) -> pdna.evaluation.Results:
        """That evaluation."""
        values = {
            "originals": {"kind": "dead_leaves", "number": self.originals, "size": [64, 48]},
            "variants": {"transforms": list(EDITS)},
            "thresholds": {"named": THRESHOLDS},
        }
        with tempfile.TemporaryDirectory() as folder:
            return pdna.evaluation.run(pdna.evaluation.Config.of_dict(values), folder)


class Entry(NamedTuple):
    """A figure of the gallery: how it is drawn, what it says, its two sizes in inches."""

    draw: Callable[[Material, Figure], Any]
    caption: str
    sizes: tuple[tuple[float, float], tuple[float, float]] = ((4, 3), (9, 6.5))


def draw_recall(material: Material, figure: Figure) -> None:
    """Draw the recall of all edits, whatever the detail, looked up in one orientation."""
    rows = material.results.tables["recall"]
    chosen = [row for row in rows if row["band"] is None and not row["oriented"]]
    plots.plot_recall(chosen, confidence=0.95, ax=figure.subplots())


def draw_transforms(material: Material, figure: Figure) -> None:
    """Draw some edits with their distances."""
    edits = [pdna.transforms.parse(spec) for spec in EDITS]
    own = pdna.hash_image(material.image)
    hashes = [pdna.hash_image(edit.apply(material.image)) for edit in edits]
    distances = [pdna.distance(own, edited) for edited in hashes]
    plots.plot_transforms(material.image, edits, distances=distances, figure=figure)


def draw_matrix(material: Material, figure: Figure) -> None:
    """Draw the distances of some sample pictures."""
    names = list(material.hashes)[:10]
    distances = pdna.distance_matrix(np.stack([material.hashes[name] for name in names]))
    ax = figure.subplots()
    plots.plot_distance_matrix(distances, labels=names, threshold=200, ax=ax)


def draw_pairs(material: Material, figure: Figure) -> None:
    """Draw the pairs of sample pictures that are nearest to L2 480."""
    names = list(material.hashes)
    i, j = np.triu_indices(len(names), 1)
    distances = pdna.distance_matrix(np.stack(list(material.hashes.values())))[i, j]
    pairs, labels = [], []
    for place in np.argsort(np.abs(distances - 480), kind="stable")[:6]:
        one, other = names[i[place]], names[j[place]]
        pairs.append((material.pictures[one], material.pictures[other]))
        labels.append(f"{one}, {other}\nL2 {distances[place]:.0f}")
    plots.plot_pairs(pairs, labels=labels, title="The pairs nearest to L2 480", figure=figure)


GALLERY: Mapping[str, Entry] = {
    "plot_trace": Entry(
        lambda m, f: plots.plot_trace(m.image, m.trace, figure=f),
        "A picture on its way through all six stages: pixels, sums, feature grid, gradients, "
        "normalisation, bytes. The hash keeps where the picture gets brighter and darker, "
        "and none of its details.",
        ((8, 5), (13, 7.5)),
    ),
    "plot_pixels": Entry(
        lambda m, f: plots.plot_pixels(m.image, grid_point=(17, 21), ax=f.subplots()),
        "The pixels as the hash sees them, in grey; axes in pixels. The three boxes are those "
        "whose sums make one point of the feature grid, and are shown again enlarged: edges "
        "lie inside pixels, of which a part then counts.",
    ),
    "plot_pixel_sums": Entry(
        lambda m, f: plots.plot_pixel_sums(m.trace.pixel_sums, ax=f.subplots()),
        "The sum of all pixels above and to the left of each, in millions of grey levels; axes "
        "in pixels. The sum of any box is read off at its four corners, however large it is.",
    ),
    "plot_feature_grid": Entry(
        lambda m, f: plots.plot_feature_grid(
            m.trace.feature_grid, grid_point=(17, 21), ax=f.subplots()
        ),
        "The weighted box sums around 26 x 26 grid points, in thousands of grey levels; axes in "
        "grid points. This is all that the rest of the hash knows of the picture. Outlined: "
        "the point whose boxes the pixels are shown with.",
    ),
    "plot_gradients": Entry(
        lambda m, f: plots.plot_gradients(m.trace.gradients, image=m.image, ax=f.subplots()),
        "How much the brightness falls and rises in 6 x 6 cells, over the picture; axes in "
        "cells. Wedges point to where it is darker, and their lengths are relative to the "
        "longest: long ones stand at strong edges.",
    ),
    "plot_normalisation": Entry(
        lambda m, f: plots.plot_normalisation(m.trace.rounds, ax=f.subplots()),
        "The 144 values after each round of dividing by the norm and clipping, the largest "
        "first; no unit. Where they reach the dashed line they were clipped: a few strong "
        "edges cannot outweigh all others.",
    ),
    "plot_hash": Entry(
        lambda m, f: plots.plot_hash(m.trace.hash, ax=f.subplots()),
        "The 144 bytes as they are printed, 24 for each row of cells, with the colours of the "
        "gradients. Values of 255 are those that were clipped.",
    ),
    "plot_hash_pair": Entry(
        lambda m, f: plots.plot_hash_pair(
            m.hashes["harbour.jpg"],
            m.hashes["harbour_cropped.jpg"],
            labels=("harbour.jpg", "harbour_cropped.jpg"),
            figure=f,
        ),
        "Two hashes as 6 x 6 cells of wedges, which point to where it is darker, and how much "
        "of the squared L2 distance each cell has. Bright cells on the right are where an "
        "edit, here a crop, has changed the picture for the hash.",
        ((6, 3.5), (10, 4.2)),
    ),
    "plot_distance_matrix": Entry(
        draw_matrix,
        "The L2 distance of each of ten pictures from each other. Outlined pairs match at L2 "
        "200: copies of one picture do, but for the mirrored one; different pictures are "
        "several hundred apart.",
        ((5, 4), (9, 7)),
    ),
    "plot_matches": Entry(
        lambda m, f: plots.plot_matches(m.image, m.matches, figure=f),
        "A query and what a search in all eight orientations found, the nearest first, with L2 "
        "distance and similarity. The mirrored copy is found as such; a file that has gone "
        "leaves an empty frame.",
        ((6, 5), (10, 8)),
    ),
    "plot_pairs": Entry(
        draw_pairs,
        "The pairs of sample pictures nearest to L2 480, where the closest pairs of unrelated "
        "photographs begin, with their names and distances. A person can see what a threshold "
        "there would take for the same, and what not: crops and borders.",
        ((5, 4), (9, 5)),
    ),
    "plot_transforms": Entry(
        draw_transforms,
        "A picture and its edits, with the L2 distance of each one's hash from the original's. "
        "Recompressing, resizing and noise hardly move the hash; crops and turns do, and a "
        "mirrored picture is another one.",
    ),
    "plot_distances": Entry(
        lambda m, f: plots.plot_distances(
            m.measured.genuine, m.measured.impostor, thresholds=THRESHOLDS, ax=f.subplots()
        ),
        "How many pairs lie how far apart: genuine ones (a picture and its edit) and impostors "
        "(two different pictures), as shares of each kind over the L2 distance. A threshold "
        "between the two tells most of them apart; where they overlap, none does.",
    ),
    "plot_roc": Entry(
        lambda m, f: plots.plot_roc(m.measured, thresholds=THRESHOLDS, ax=f.subplots()),
        "Recall, the share of genuine pairs that match, over the false match rate, the share of "
        "impostor pairs that do, for all thresholds. A curve further to the upper left is "
        "better.",
    ),
    "plot_det": Entry(
        lambda m, f: plots.plot_det(m.measured, thresholds=THRESHOLDS, ax=f.subplots()),
        "The share of genuine pairs that is missed over the share of impostor pairs that "
        "matches, both on logarithmic axes, for all thresholds. A curve further to the lower "
        "left is better; the equal error rate is where the two shares are one.",
    ),
    "plot_precision_recall": Entry(
        lambda m, f: plots.plot_precision_recall(
            m.measured, thresholds=THRESHOLDS, ax=f.subplots()
        ),
        "Precision, the share of matches that is genuine, over recall, the share of genuine "
        "pairs that matches. Precision depends on how many pairs of each kind there are, so "
        "that only curves of one evaluation compare.",
    ),
    "plot_false_match_rates": Entry(
        lambda m, f: plots.plot_false_match_rates(
            m.measured, thresholds=THRESHOLDS, targets=(1e-3, 1e-6), ax=f.subplots()
        ),
        "The share of impostor pairs within each L2 distance, on a logarithmic axis, with its "
        "interval. What is counted, bounded and extrapolated differs in how it is drawn: the "
        "lower the rate that a threshold is chosen for, the less has been seen of it.",
    ),
    "plot_recall": Entry(
        draw_recall,
        "The share of each edit's copies that is found at each threshold, with its interval. "
        "Edits that a threshold loses are to the left: mirroring here, a crop of 5 %, and halving, "
        "of pictures of 64 x 48 pixels.",
    ),
    "plot_edit_distances": Entry(
        lambda m, f: plots.plot_edit_distances(
            m.results.tables["edits"], thresholds=THRESHOLDS, ax=f.subplots()
        ),
        "How far each edit moves the hash, as L2 distance: median, 95th percentile, and the "
        "largest of all originals. A threshold to the right of a mark finds that share.",
    ),
    "plot_impostor_detail": Entry(
        lambda m, f: plots.plot_impostor_detail(
            m.results.tables["detail"], thresholds=THRESHOLDS, ax=f.subplots()
        ),
        "How near two different pictures come to each other, as L2 distance, by how much there "
        "is to see in them. Pictures of little detail lie closer, and match by chance sooner.",
    ),
}


def main() -> None:
    """Draw what the command line asks for."""
    parser = argparse.ArgumentParser(description="Draw figures.")
    parser.add_argument("--gallery", metavar="FOLDER", type=Path, help="draw all into a folder")
    folder = parser.parse_args().gallery
    if folder is None:
        draw_stages()
        draw_thresholds()
    else:
        material = Material()
        check_tail(material)
        draw_gallery(folder, material)


def draw_stages() -> None:
    """Write data/figures/stages.png."""
    material = Material()
    figure = plots.plot_trace(material.image, material.trace)
    figure.savefig(DATA / "figures" / "stages.png", dpi=100)
    plt.close(figure)


def draw_thresholds() -> None:
    """Write data/figures/thresholds.png: what the example of an evaluation finds."""
    config = pdna.evaluation.Config.load(DATA / "evaluation.toml")
    with tempfile.TemporaryDirectory() as folder:
        counts = pdna.evaluation.run(config, folder).counts
    figure = plt.figure(figsize=(9, 5.5), layout="constrained")
    plots.plot_false_match_rates(
        pdna.evaluation.measure(counts, confidence=config.confidence, seed=config.seed),
        thresholds=config.thresholds.named,
        targets=config.thresholds.targets,
        ax=figure.subplots(),
    )
    figure.savefig(DATA / "figures" / "thresholds.png", dpi=100)
    plt.close(figure)


def draw_gallery(
    folder: Path,
    material: Material,
    *,
    sizes: Sequence[str] = ("small", "large"),
    styles: Iterable[str] = ("light", "dark"),
) -> list[Path]:
    """Write every figure in every size and style, and a page of all; returns the figures."""
    check_complete(plots.__all__)
    folder.mkdir(parents=True, exist_ok=True)
    drawn = [
        _draw(folder / f"{name}-{size}-{style}.png", name, material, number, style)
        for name in GALLERY
        for number, size in enumerate(sizes)
        for style in styles
    ]
    (folder / "index.html").write_text(_page(drawn), encoding="utf-8")
    return drawn


def check_complete(names: Iterable[str]) -> None:
    """Refuse to draw a gallery that lacks a public figure, or has one that is gone."""
    public = {name for name in names if name.startswith("plot_")}
    if public != set(GALLERY):
        odd = ", ".join(sorted(public ^ set(GALLERY)))
        raise SystemExit(f"GALLERY in {__file__} and plots.__all__ differ in: {odd}")


def check_tail(material: Material) -> None:
    """Refuse to draw a gallery without the extrapolation, which a figure is about."""
    tail = material.measured.tail
    if tail is None or not tail.trusted:
        reason = material.measured.reason if tail is None else tail.reason
        raise SystemExit(f"Of {material.originals} originals no tail is trusted: {reason}")


def _draw(path: Path, name: str, material: Material, number: int, style: str) -> Path:
    entry = GALLERY[name]
    with plt.style.context(STYLES[style]):
        figure = plt.figure(figsize=entry.sizes[number], layout="constrained")
        entry.draw(material, figure)
        figure.savefig(path, dpi=100)
        plt.close(figure)
    return path


def _page(drawn: Iterable[Path]) -> str:
    """Return HTML that shows the figures with their captions."""
    parts = [
        "<!DOCTYPE html><meta charset='utf-8'><title>Figures of photodna_nb</title>",
        "<style>body{font-family:sans-serif;max-width:80em;margin:auto;background:#888}"
        "section{background:#fff;padding:1em;margin:1em}img{max-width:100%;margin:.3em}</style>",
    ]
    paths = list(drawn)
    for name, entry in GALLERY.items():
        pictures = "".join(
            f"<img src='{path.name}' alt='{path.stem}'>"
            for path in paths
            if path.name.startswith(f"{name}-")
        )
        caption = html.escape(entry.caption)
        parts.append(f"<section><h2>{name}</h2><p>{caption}</p>{pictures}</section>")
    return "\n".join(parts) + "\n"


def _opened(path: Path) -> Image.Image:
    with Image.open(path) as image:
        return image.convert("RGB")


if __name__ == "__main__":
    main()
