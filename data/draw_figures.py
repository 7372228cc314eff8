"""Draw the figures of the README, or every figure that there is.

python data/draw_figures.py                    # data/figures: stages.png, thresholds.png
python data/draw_figures.py --gallery FOLDER   # all of pdna.plots, and FOLDER/index.html
"""

from __future__ import annotations

import argparse
import html
import itertools
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


Rows = Sequence[Mapping[str, Any]]


class Normalised(NamedTuple):
    """The vector of a hash before it is clipped, and after each round."""

    unit: np.ndarray
    rounds: np.ndarray


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
        """The picture that is edited and searched for."""
        return self.pictures["harbour.jpg"]

    @cached_property
    def scene(self) -> Image.Image:
        """The part of it whose stages are shown: of its strongest edges a bit is clipped."""
        return self.image.crop((200, 0, 800, 399))

    @cached_property
    def trace(self) -> pdna.HashTrace:
        """The stages of that part."""
        return pdna.trace(self.scene)

    @cached_property
    def strong(self) -> Normalised:
        """What clipping does to another part, with a few edges that are much stronger."""
        trace = pdna.trace(self.image.crop((100, 133, 500, 399)))
        scaled = pdna.stages.scaled_gradients(trace.gradients, *trace.pixel_sums.shape)
        return Normalised(pdna.stages.unit_vector(scaled), trace.rounds)

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
    def distances(self) -> Mapping[tuple[str, str], float]:
        """Of the hashes of the sample pictures, each pair once."""
        pairs = itertools.combinations(self.hashes.items(), 2)
        return {(a, b): pdna.distance(one, other) for (a, one), (b, other) in pairs}

    @cached_property
    def edited(self) -> Mapping[str, float]:
        """How far some edits move the hash of the picture."""
        own = pdna.hash_image(self.image)
        edits = {spec: pdna.transforms.parse(spec) for spec in EDITS}
        return {
            spec: pdna.distance(own, pdna.hash_image(edit.apply(self.image)))
            for spec, edit in edits.items()
        }

    @cached_property
    def recall(self) -> Rows:
        """Of the edits, whatever the detail, looked up in one orientation."""
        rows = self.results.tables["recall"]
        return [row for row in rows if row["detail_bin"] is None and not row["oriented"]]

    @cached_property
    def detail(self) -> Rows:
        """What an evaluation says of drawn pictures and as many of plain skies, by detail."""
        number, values = 60, {"variants": {"transforms": ["jpeg:90"]}}
        with tempfile.TemporaryDirectory() as run, tempfile.TemporaryDirectory() as folder:
            for place, drawn in enumerate(pdna.datasets.dead_leaves(number, (64, 48))):
                drawn.open().save(Path(folder) / f"drawn {place}.png")
                sky(place).save(Path(folder) / f"sky {place}.png")
            values["originals"] = {"kind": "directory", "path": folder}
            config = pdna.evaluation.Config.from_dict(values)
            rows = pdna.evaluation.run(config, run).tables["detail"]
        return [row for row in rows if row["originals"] > 1]

    @cached_property
    def estimates(self) -> pdna.evaluation.RateEstimates:
        """What a small evaluation says of drawn pictures."""
        return self.results.rates

    @cached_property
    def results(self) -> pdna.evaluation.Results:
        """That evaluation."""
        values = {
            "originals": {"kind": "dead_leaves", "number": self.originals, "size": [64, 48]},
            "variants": {"transforms": list(EDITS)},
            "thresholds": {"named": THRESHOLDS},
        }
        with tempfile.TemporaryDirectory() as folder:
            return pdna.evaluation.run(pdna.evaluation.Config.from_dict(values), folder)


class Entry(NamedTuple):
    """A figure of the gallery: how it is drawn, what it says, its two sizes in inches.

    holds: whether what the caption claims of this material is so.
    """

    draw: Callable[[Material, Figure], Any]
    caption: str
    sizes: tuple[tuple[float, float], tuple[float, float]] = ((4, 3), (9, 6.5))
    holds: Callable[[Material], bool] = lambda _: True


def sky(seed: int) -> Image.Image:
    """Return a picture of little detail: its brightness grows slowly, in some direction."""
    rng = np.random.default_rng(seed)
    angle, range_ = rng.uniform(0, 2 * np.pi), rng.uniform(4, 40)
    y, x = np.mgrid[-1:1:48j, -1:1:64j]
    bright = 160 + range_ / 2 * (x * np.cos(angle) + y * np.sin(angle))
    return Image.fromarray((bright + rng.normal(0, 1, x.shape)).round().astype(np.uint8))


def draw_transforms(material: Material, figure: Figure) -> None:
    """Draw some edits with their distances."""
    distances = list(material.edited.values())
    plots.plot_transforms(material.image, EDITS, distances=distances, figure=figure)


def draw_matrix(material: Material, figure: Figure) -> None:
    """Draw the distances of some sample pictures."""
    names = list(material.hashes)[:10]
    distances = pdna.distance_matrix(np.stack([material.hashes[name] for name in names]))
    ax = figure.subplots()
    plots.plot_distance_matrix(distances, labels=names, threshold=200, ax=ax)


def nearest_pairs(material: Material) -> list[tuple[str, str]]:
    """Return the six pairs of sample pictures whose distance is nearest to L2 480."""
    distances = material.distances
    return sorted(distances, key=lambda pair: abs(distances[pair] - 480))[:6]


def draw_pairs(material: Material, figure: Figure) -> None:
    """Draw them."""
    pairs = nearest_pairs(material)
    pictures = [(material.pictures[one], material.pictures[other]) for one, other in pairs]
    labels = [f"{one}\n{other}\nL2 {material.distances[one, other]:.0f}" for one, other in pairs]
    title = "The pairs nearest to L2 480"
    plots.plot_image_pairs(pictures, labels=labels, title=title, figure=figure)


def matrix_holds(material: Material) -> bool:
    """Return whether exactly the copies match that the caption of the matrix says."""
    names = list(material.hashes)[:10]
    changed = ("bordered", "cropped", "mirrored")
    for (one, other), distance in material.distances.items():
        if one not in names or other not in names:
            continue
        same = scene_of(one) == scene_of(other)
        if (distance <= 200) != (same and not any(edit in one + other for edit in changed)):
            return False
        if not same and distance < 600:
            return False
    return True


def pairs_hold(material: Material) -> bool:
    """Return whether the pairs nearest to L2 480 are those that their caption speaks of."""
    return all(
        scene_of(one) == scene_of(other)
        and ("bordered" in one + other or "turned" in one + other)
        and material.distances[one, other] > 480
        for one, other in nearest_pairs(material)
    )


def matches_hold(material: Material) -> bool:
    """Return whether a mirrored copy is found as such, and the lost file is beyond the limit."""
    near = {Path(match.path).name: match for match in material.matches if match.distance <= 200}
    mirrored = near.get("harbour_mirrored.jpg")
    gone = [match for match in material.matches if not Path(match.path).exists()]
    return mirrored is not None and mirrored.orientation == "flip_left_right" and len(gone) == 1


def transforms_hold(material: Material) -> bool:
    """Return whether the edits move the hash in the order that their caption says."""
    moved = material.edited
    hardly = max(moved[spec] for spec in ("jpeg:30", "resize:50", "noise:25"))
    more = [moved[spec] for spec in ("rotate:1", "crop:2", "crop:5")]
    return hardly < 20 < 2 * hardly < min(more) and max(more) < 300 < 600 < moved["mirror"]


def recall_holds(material: Material) -> bool:
    """Return whether the production threshold loses exactly the edits of the caption."""
    rows = [row for row in material.recall if row["threshold_name"] == "production"]
    lost = {row["transform"] for row in rows if row["recall"] < 0.5}
    return lost == {"mirror", "crop:5", "resize:50"}


def detail_holds(material: Material) -> bool:
    """Return whether the nearest pairs of little detail, and none of much, match at L2 200."""
    little, much = (
        material.detail[0],
        [row for row in material.detail if row["detail_from"] >= 1200],
    )
    nearest = [row["impostor_nearest"] for row in much]
    return little["detail_to"] <= 600 and little["impostor_nearest"] < 200 and min(nearest) > 500


def scene_of(name: str) -> str:
    """Return what a sample picture shows, of which there are copies."""
    return Path(name).stem.partition("_")[0]


GALLERY: Mapping[str, Entry] = {
    "plot_trace": Entry(
        lambda m, f: plots.plot_trace(m.scene, m.trace, figure=f),
        "A picture on its way through all six stages: pixels, sums, feature grid, gradients, "
        "normalisation, bytes. The hash keeps where the picture gets brighter and darker, "
        "and none of its details.",
        ((8, 5), (13, 7.5)),
    ),
    "plot_pixels": Entry(
        lambda m, f: plots.plot_pixels(m.scene, grid_point=(17, 21), ax=f.subplots()),
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
        lambda m, f: plots.plot_gradients(m.trace.gradients, image=m.scene, ax=f.subplots()),
        "How much the brightness falls and rises in 6 x 6 cells, over the picture; axes in "
        "cells. Wedges point to where it is darker, and their lengths are relative to the "
        "longest: long ones stand at strong edges.",
    ),
    "plot_normalisation": Entry(
        lambda m, f: plots.plot_normalisation(m.strong.rounds, unit=m.strong.unit, ax=f.subplots()),
        "The 144 values of a picture with six very strong edges, before and after clipping, the "
        "largest first; no unit. What exceeds the dashed line is cut off, and as the norm is "
        "made one again all others grow: a few strong edges cannot outweigh all others.",
        holds=lambda m: (
            np.count_nonzero(m.strong.unit > 0.25) == 6
            and bool((m.strong.rounds[-1] >= np.minimum(m.strong.unit, 0.25)).all())
        ),
    ),
    "plot_hash": Entry(
        lambda m, f: plots.plot_hash(m.trace.hash, ax=f.subplots()),
        "The 144 bytes as they are printed, 24 for each row of cells, with the colours of the "
        "gradients. Values of 255 are those that were clipped.",
        holds=lambda m: np.array_equal(m.trace.hash == 255, m.trace.vector >= 0.25),
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
        "200: copies of one picture do, but for the one with a border, the cropped and the "
        "mirrored one; different pictures are 600 apart or more.",
        ((5, 4), (9, 7)),
        matrix_holds,
    ),
    "plot_matches": Entry(
        lambda m, f: plots.plot_matches(m.image, m.matches, max_distance=200, figure=f),
        "A query and what a search in all eight orientations found nearest to it, with L2 "
        "distance and similarity. What is faint is beyond L2 200, and no match. The mirrored "
        "copy is found as such; a file that has gone leaves an empty frame.",
        ((6, 5), (10, 8)),
        matches_hold,
    ),
    "plot_image_pairs": Entry(
        draw_pairs,
        "The pairs of sample pictures nearest to L2 480, with their names and distances. All are "
        "copies, with a border or turned, that a threshold of 480 just misses. Looking at such "
        "pairs, a person can see what a threshold takes for the same, and what not.",
        ((5, 4), (9, 5)),
        pairs_hold,
    ),
    "plot_transforms": Entry(
        draw_transforms,
        "A picture and its edits, with the L2 distance of each one's hash from the original's. "
        "Recompressing, resizing and noise hardly move the hash; crops and turns do more so, and "
        "a mirrored picture is another one.",
        holds=transforms_hold,
    ),
    "plot_distances": Entry(
        lambda m, f: plots.plot_distances(
            m.estimates.genuine, m.estimates.impostor, thresholds=THRESHOLDS, ax=f.subplots()
        ),
        "How many pairs lie how far apart: genuine ones (a picture and its edit) and impostors "
        "(two different pictures), as shares of each kind over the L2 distance. A threshold "
        "between the two tells most of them apart; where they overlap, none does.",
    ),
    "plot_roc": Entry(
        lambda m, f: plots.plot_roc(m.estimates, thresholds=THRESHOLDS, ax=f.subplots()),
        "Recall, the share of genuine pairs that match, over the false match rate, the share of "
        "impostor pairs that do, for all thresholds. A curve further to the upper left is "
        "better. The area holds both intervals of each threshold. It is faint where fewer than "
        "ten impostor pairs match: how few really do is not known there, but at most as many "
        "as at its right end.",
    ),
    "plot_det": Entry(
        lambda m, f: plots.plot_det(m.estimates, thresholds=THRESHOLDS, ax=f.subplots()),
        "The share of genuine pairs that is missed over the share of impostor pairs that "
        "matches, both on logarithmic axes, for all thresholds. A curve further to the lower "
        "left is better; the equal error rate is where the two shares are one. The area holds "
        "both intervals of each threshold, and is faint where fewer than ten impostor pairs "
        "match.",
    ),
    "plot_precision_recall": Entry(
        lambda m, f: plots.plot_precision_recall(
            m.estimates, thresholds=THRESHOLDS, ax=f.subplots()
        ),
        "Precision, the share of matches that is genuine, over recall, the share of genuine "
        "pairs that matches. Precision depends on how many pairs of each kind there are, so "
        "that only curves of one evaluation compare.",
    ),
    "plot_false_match_rates": Entry(
        lambda m, f: plots.plot_false_match_rates(
            m.estimates, thresholds=THRESHOLDS, targets=(1e-3, 1e-6), ax=f.subplots()
        ),
        "The share of impostor pairs within each L2 distance, on a logarithmic axis, with its "
        "interval. What is counted, bounded and extrapolated differs in how it is drawn: the "
        "lower the rate that a threshold is chosen for, the less has been seen of it.",
    ),
    "plot_recall": Entry(
        lambda m, f: plots.plot_recall(m.recall, confidence=0.95, ax=f.subplots()),
        "The share of each edit's copies that is found at each threshold, with its interval. "
        "Edits that a threshold loses are to the left: mirroring here, a crop of 5 %, and halving, "
        "of pictures of 64 x 48 pixels.",
        holds=recall_holds,
    ),
    "plot_variant_distances": Entry(
        lambda m, f: plots.plot_variant_distances(
            m.results.tables["transforms"], thresholds=THRESHOLDS, ax=f.subplots()
        ),
        "How far each edit moves the hash, as L2 distance: median, 95th percentile, and the "
        "largest of all originals. A threshold to the right of a mark finds that share.",
    ),
    "plot_impostor_distances": Entry(
        lambda m, f: plots.plot_impostor_distances(
            m.detail, thresholds=THRESHOLDS, ax=f.subplots()
        ),
        "How near two different pictures come to each other, as L2 distance, by how much there "
        "is to see in them. The nearest pairs of little detail, here of plain skies, match by "
        "chance at the threshold of production, though the median is no lower; pictures of "
        "more detail do not.",
        holds=detail_holds,
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
        check_captions(material)
        draw_gallery(folder, material)


def draw_stages() -> None:
    """Write data/figures/stages.png."""
    material = Material()
    figure = plots.plot_trace(material.scene, material.trace)
    figure.savefig(DATA / "figures" / "stages.png", dpi=100)
    plt.close(figure)


def draw_thresholds() -> None:
    """Write data/figures/thresholds.png: what the example of an evaluation finds."""
    config = pdna.evaluation.Config.load(DATA / "evaluation.toml")
    with tempfile.TemporaryDirectory() as folder:
        results = pdna.evaluation.run(config, folder)
    figure = plt.figure(figsize=(9, 5.5), layout="constrained")
    plots.plot_false_match_rates(
        results.rates,
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
    tail = material.estimates.tail
    if tail is None or not tail.accepted:
        reason = material.estimates.no_rates_reason if tail is None else tail.rejection_reason
        raise SystemExit(f"Of {material.originals} originals no tail is trusted: {reason}")


def check_captions(material: Material) -> None:
    """Refuse to draw a gallery whose captions claim what its figures do not show."""
    wrong = ", ".join(name for name, entry in GALLERY.items() if not entry.holds(material))
    if wrong:
        raise SystemExit(f"GALLERY in {__file__}: what the captions claim is not so of {wrong}")


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
