"""Draw the figures of the README, or all figures of the package.

python data/draw_figures.py                    # data/figures: stages.png, thresholds.png
python data/draw_figures.py --gallery FOLDER   # all of pdna.plots, and FOLDER/index.html
"""

from __future__ import annotations

import argparse
import html
import itertools
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
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
from photodna_nb.evaluation.counting import count_pairs
from photodna_nb.evaluation.hasher_comparison import comparison_tables
from photodna_nb.evaluation.hasher_results import HasherResults
from photodna_nb.evaluation.hasher_scale import HasherScale
from photodna_nb.evaluation.variant_hashes import VariantHashes, unpack_hashes

DATA = Path(__file__).parent
TRANSFORMS = ("jpeg:30", "resize:50", "crop:2", "crop:5", "rotate:1", "noise:25", "mirror")
THRESHOLDS = {"production": 200, "loose": 400}
STYLES = {"light": "default", "dark": "dark_background"}


Rows = Sequence[Mapping[str, Any]]


class Normalised(NamedTuple):
    """The vector of a hash before it is clipped, and after each round."""

    unit: np.ndarray
    rounds: np.ndarray


@dataclass(frozen=True)
class Material:
    """The data of the figures of the gallery; each part is made when it is first used.

    originals: number of generated images of the evaluation.
    """

    originals: int = 300

    @cached_property
    def images(self) -> dict[str, Image.Image]:
        """The sample images, by the names of their files."""
        return {path.name: _opened(path) for path in sorted((DATA / "pictures").iterdir())}

    @cached_property
    def image(self) -> Image.Image:
        """The image that is transformed, and the query of the search."""
        return self.images["harbour.jpg"]

    @cached_property
    def scene(self) -> Image.Image:
        """The part of it whose stages are shown; a part of its strongest edges is clipped."""
        return self.image.crop((200, 0, 800, 399))

    @cached_property
    def trace(self) -> pdna.HashTrace:
        """The stages of the hash of that part."""
        return pdna.trace(self.scene)

    @cached_property
    def strong(self) -> Normalised:
        """The normalisation of another part, with a few edges that are much stronger."""
        trace = pdna.trace(self.image.crop((100, 133, 500, 399)))
        scaled = pdna.stages.scaled_gradients(trace.gradients, *trace.pixel_sums.shape)
        return Normalised(pdna.stages.unit_vector(scaled), trace.rounds)

    @cached_property
    def hashes(self) -> dict[str, np.ndarray]:
        """The hashes of the sample images."""
        return {name: pdna.hash_image(image) for name, image in self.images.items()}

    @cached_property
    def matches(self) -> list[pdna.Match]:
        """The matches of a search for the image, with a file that no longer exists."""
        paths = [str(DATA / "pictures" / name) for name in self.hashes]
        with tempfile.TemporaryDirectory() as folder:
            files = Path(folder) / "index.faiss", Path(folder) / "metadata.json"
            with pdna.HashIndex.create(*files) as index:
                index.add(paths, np.stack(list(self.hashes.values())))
                index.add([str(DATA / "gone.jpg")], self.hashes["harbour_cropped.jpg"][None])
                matches = index.search(self.hashes["harbour.jpg"], 11, orientations=True)
        return matches[0]

    @cached_property
    def distances(self) -> Mapping[tuple[str, str], float]:
        """The distances of the sample images, each pair once."""
        pairs = itertools.combinations(self.hashes.items(), 2)
        return {(a, b): pdna.distance(one, other) for (a, one), (b, other) in pairs}

    @cached_property
    def variant_distances(self) -> Mapping[str, float]:
        """The distances of some variants of the image from it."""
        own = pdna.hash_image(self.image)
        return {
            spec: pdna.distance(own, pdna.hash_image(pdna.transforms.parse(spec).apply(self.image)))
            for spec in TRANSFORMS
        }

    @cached_property
    def recall(self) -> Rows:
        """The recall of each transform in one orientation, for all bins of detail."""
        rows = self.results.tables["recall"]
        return [row for row in rows if row["detail_bin"] is None and not row["oriented"]]

    @cached_property
    def detail(self) -> Rows:
        """The table of an evaluation of generated images and as many of plain skies, by detail."""
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
        """The rates of a small evaluation of generated images."""
        return self.results.estimates.all_originals

    @cached_property
    def hashers(self) -> Mapping[str, HasherResults]:
        """The hash, and its bits: which of the values are above their median."""
        results, hashed = self.evaluation
        scale = HasherScale("bits", 144, "hamming")
        hashes, variants = (
            (each > np.median(each, axis=-1, keepdims=True)).astype(np.uint8)
            for each in (hashed.hashes, hashed.variants)
        )
        bits = replace(hashed, hashes=hashes, variants=variants, hasher=scale)
        counts = count_pairs(bits, results.counts.in_validation_half)
        first = results.hashers["photodna"]
        bits_alone = replace(first, counts=counts, _estimates=None)
        return {"photodna": first, "bits": bits_alone}

    @cached_property
    def equal_rates(self) -> Rows:
        """Rows of the transforms of both hashers, at a false match rate of one in a thousand."""
        rows = comparison_tables(self.results.config, list(self.hashers.values()))["equal_rates"]
        return [row for row in rows if row["target"] == 1e-3]

    @property
    def results(self) -> pdna.evaluation.Results:
        """The results of that evaluation."""
        return self.evaluation[0]

    @cached_property
    def evaluation(self) -> tuple[pdna.evaluation.Results, VariantHashes]:
        """The results of that evaluation, and its hashes."""
        values = {
            "originals": {"kind": "dead_leaves", "number": self.originals, "size": [64, 48]},
            "variants": {"transforms": list(TRANSFORMS)},
            "thresholds": {"named": THRESHOLDS},
        }
        with tempfile.TemporaryDirectory() as folder:
            results = pdna.evaluation.run(pdna.evaluation.Config.from_dict(values), folder)
            content = Path(folder, "hashes.npz").read_bytes()
            hashed, _ = unpack_hashes("hashes.npz", content, results.counts.hasher)[0]
            return results, hashed


class GalleryFigure(NamedTuple):
    """A figure of the gallery: a function that draws it, its caption, its two sizes in inches.

    holds: whether the claims of the caption are true for this material.
    """

    draw: Callable[[Material, Figure], Any]
    caption: str
    sizes: tuple[tuple[float, float], tuple[float, float]] = ((4, 3), (9, 6.5))
    holds: Callable[[Material], bool] = lambda _: True


def sky(seed: int) -> Image.Image:
    """Return an image of little detail: its brightness grows slowly in one direction."""
    rng = np.random.default_rng(seed)
    angle, range_ = rng.uniform(0, 2 * np.pi), rng.uniform(4, 40)
    y, x = np.mgrid[-1:1:48j, -1:1:64j]
    bright = 160 + range_ / 2 * (x * np.cos(angle) + y * np.sin(angle))
    return Image.fromarray((bright + rng.normal(0, 1, x.shape)).round().astype(np.uint8))


def draw_transforms(material: Material, figure: Figure) -> None:
    """Draw some variants with their distances."""
    distances = list(material.variant_distances.values())
    plots.plot_transforms(material.image, TRANSFORMS, distances=distances, figure=figure)


def draw_matrix(material: Material, figure: Figure) -> None:
    """Draw the distances of some sample images."""
    names = list(material.hashes)[:10]
    distances = pdna.distance_matrix(np.stack([material.hashes[name] for name in names]))
    ax = figure.subplots()
    plots.plot_distance_matrix(distances, labels=names, threshold=200, ax=ax)


def nearest_pairs(material: Material) -> list[tuple[str, str]]:
    """Return the six pairs of sample images whose distance is nearest to L2 480."""
    distances = material.distances
    return sorted(distances, key=lambda pair: abs(distances[pair] - 480))[:6]


def draw_pairs(material: Material, figure: Figure) -> None:
    """Draw these pairs."""
    pairs = nearest_pairs(material)
    images = [(material.images[one], material.images[other]) for one, other in pairs]
    labels = [f"{one}\n{other}\nL2 {material.distances[one, other]:.0f}" for one, other in pairs]
    title = "The pairs nearest to L2 480"
    plots.plot_image_pairs(images, labels=labels, title=title, figure=figure)


def matrix_holds(material: Material) -> bool:
    """Return whether exactly the variants match that the caption of the matrix names."""
    names = list(material.hashes)[:10]
    changed = ("bordered", "cropped", "mirrored")
    for (one, other), distance in material.distances.items():
        if one not in names or other not in names:
            continue
        same = scene_of(one) == scene_of(other)
        if (distance <= 200) != (same and not any(word in one + other for word in changed)):
            return False
        if not same and distance < 600:
            return False
    return True


def pairs_hold(material: Material) -> bool:
    """Return whether the pairs nearest to L2 480 are those that their caption describes."""
    return all(
        scene_of(one) == scene_of(other)
        and ("bordered" in one + other or "turned" in one + other)
        and material.distances[one, other] > 480
        for one, other in nearest_pairs(material)
    )


def matches_hold(material: Material) -> bool:
    """Return whether a mirrored variant matches as such, and one file does not exist."""
    near = {Path(match.path).name: match for match in material.matches if match.distance <= 200}
    mirrored = near.get("harbour_mirrored.jpg")
    gone = [match for match in material.matches if not Path(match.path).exists()]
    return mirrored is not None and mirrored.orientation == "flip_left_right" and len(gone) == 1


def transforms_hold(material: Material) -> bool:
    """Return whether the distances have the order that their caption describes."""
    distances = material.variant_distances
    hardly = max(distances[spec] for spec in ("jpeg:30", "resize:50", "noise:25"))
    more = [distances[spec] for spec in ("rotate:1", "crop:2", "crop:5")]
    return hardly < 20 < 2 * hardly < min(more) and max(more) < 300 < 600 < distances["mirror"]


def recall_holds(material: Material) -> bool:
    """Return whether exactly the transforms of the caption have a low recall."""
    rows = [row for row in material.recall if row["threshold_name"] == "production"]
    low = {row["transform"] for row in rows if row["recall"] < 0.5}
    return low == {"mirror", "crop:5", "resize:50"}


def detail_holds(material: Material) -> bool:
    """Return whether impostor pairs match at L2 200 in the bin of least detail alone."""
    little, much = (
        material.detail[0],
        [row for row in material.detail if row["detail_from"] >= 1200],
    )
    nearest = [row["smallest_impostor_distance"] for row in much]
    return (
        little["detail_to"] <= 600
        and little["smallest_impostor_distance"] < 200
        and min(nearest) > 500
    )


def all_rates(material: Material) -> dict[str, pdna.evaluation.RateEstimates]:
    """Return the rates of each hasher."""
    return {name: one.estimates.all_originals for name, one in material.hashers.items()}


def scene_of(name: str) -> str:
    """Return the scene of a sample image, of which there are variants."""
    return Path(name).stem.partition("_")[0]


GALLERY: Mapping[str, GalleryFigure] = {
    "plot_trace": GalleryFigure(
        lambda m, f: plots.plot_trace(m.scene, m.trace, figure=f),
        "The six stages of the hash of an image: pixels, integral image, feature grid, gradients, "
        "normalisation, bytes. The hash keeps where the image gets brighter and darker, "
        "and none of its details.",
        ((8, 5), (13, 7.5)),
    ),
    "plot_pixels": GalleryFigure(
        lambda m, f: plots.plot_pixels(m.scene, grid_point=(17, 21), ax=f.subplots()),
        "The grey levels that the hash reads; axes in pixels. The three boxes are those "
        "whose sums make one point of the feature grid, and are shown again enlarged: edges "
        "lie inside pixels, which count in part.",
    ),
    "plot_pixel_sums": GalleryFigure(
        lambda m, f: plots.plot_pixel_sums(m.trace.pixel_sums, ax=f.subplots()),
        "The sum of all pixels above and to the left of each, in millions of grey levels; axes "
        "in pixels. The sum of any box is read off at its four corners, however large it is.",
    ),
    "plot_feature_grid": GalleryFigure(
        lambda m, f: plots.plot_feature_grid(
            m.trace.feature_grid, grid_point=(17, 21), ax=f.subplots()
        ),
        "The weighted box sums around 26 x 26 grid points, in thousands of grey levels; axes in "
        "grid points. The next stages read nothing else of the image. Outlined: the "
        "point whose boxes are shown with the pixels.",
    ),
    "plot_gradients": GalleryFigure(
        lambda m, f: plots.plot_gradients(m.trace.gradients, image=m.scene, ax=f.subplots()),
        "How much the brightness falls and rises in 6 x 6 cells, over the image; axes in "
        "cells. Wedges point to where it is darker, and their lengths are relative to the "
        "longest: long ones stand at strong edges.",
    ),
    "plot_normalisation": GalleryFigure(
        lambda m, f: plots.plot_normalisation(m.strong.rounds, unit=m.strong.unit, ax=f.subplots()),
        "The 144 values of an image with six very strong edges, before and after clipping, the "
        "largest first; no unit. Values above the dashed line are clipped, and all others grow as "
        "the norm is made one again: a few strong edges cannot outweigh all others.",
        holds=lambda m: (
            np.count_nonzero(m.strong.unit > 0.25) == 6
            and bool((m.strong.rounds[-1] >= np.minimum(m.strong.unit, 0.25)).all())
        ),
    ),
    "plot_hash": GalleryFigure(
        lambda m, f: plots.plot_hash(m.trace.hash, ax=f.subplots()),
        "The 144 bytes as they are printed, 24 for each row of cells, with the colours of the "
        "gradients. Values of 255 are those that were clipped.",
        holds=lambda m: np.array_equal(m.trace.hash == 255, m.trace.vector >= 0.25),
    ),
    "plot_hash_pair": GalleryFigure(
        lambda m, f: plots.plot_hash_pair(
            m.hashes["harbour.jpg"],
            m.hashes["harbour_cropped.jpg"],
            labels=("harbour.jpg", "harbour_cropped.jpg"),
            figure=f,
        ),
        "Two hashes as 6 x 6 cells of wedges, which point to where it is darker, and the share "
        "of each cell in the squared L2 distance. Bright cells on the right are places where a "
        "transform, here a crop, has changed the hash.",
        ((6, 3.5), (10, 4.2)),
    ),
    "plot_distance_matrix": GalleryFigure(
        draw_matrix,
        "The L2 distances of ten images. Outlined pairs match at L2 200: variants of one image do, "
        "except the one with a border, the cropped and the mirrored one; the distances of "
        "different images are 600 or more.",
        ((5, 4), (9, 7)),
        matrix_holds,
    ),
    "plot_matches": GalleryFigure(
        lambda m, f: plots.plot_matches(m.image, m.matches, max_distance=200, figure=f),
        "A query and its nearest items in an index, in all eight orientations, with L2 distance "
        "and similarity. Faint items are beyond L2 200, and do not match. The mirrored variant "
        "matches in its orientation; a missing file leaves an empty frame.",
        ((6, 5), (10, 8)),
        matches_hold,
    ),
    "plot_image_pairs": GalleryFigure(
        draw_pairs,
        "The pairs of sample images nearest to L2 480, with their names and distances. All are "
        "variants, with a border or rotated, that just do not match at a threshold of 480. Such "
        "pairs show a person what a threshold separates.",
        ((5, 4), (9, 5)),
        pairs_hold,
    ),
    "plot_transforms": GalleryFigure(
        draw_transforms,
        "An original and its variants, with the L2 distances of their hashes from that of the "
        "original. Recompression, resizing and noise hardly change the hash; crops and rotations "
        "change it more, and a mirrored image is another one.",
        holds=transforms_hold,
    ),
    "plot_distances": GalleryFigure(
        lambda m, f: plots.plot_distances(
            m.estimates.genuine_histogram,
            m.estimates.impostor_histogram,
            thresholds=THRESHOLDS,
            ax=f.subplots(),
        ),
        "Proportion of the genuine pairs (an original and its variant) and of the impostor pairs "
        "(two different images) in each bin of the L2 distance. A threshold between the two "
        "separates most of them; where they overlap, no threshold does.",
    ),
    "plot_roc": GalleryFigure(
        lambda m, f: plots.plot_roc(m.estimates, thresholds=THRESHOLDS, ax=f.subplots()),
        "Recall, the proportion of genuine pairs that match, over the false match rate, the "
        "proportion of impostor pairs that do, for all thresholds. A curve further to the upper "
        "left is better. The area holds both intervals of each threshold. It is faint where fewer "
        "than ten full dyads (pairs of two originals) match: there the false match rate is only "
        "known to be at most that of its right end.",
    ),
    "plot_det": GalleryFigure(
        lambda m, f: plots.plot_det(m.estimates, thresholds=THRESHOLDS, ax=f.subplots()),
        "False non-match rate over false match rate, both on logarithmic axes, for all thresholds. "
        "A curve further to the lower left is better; the equal error rate is where the two rates "
        "are equal. The area holds both intervals of each threshold, and is faint where fewer than "
        "ten impostor pairs match.",
    ),
    "plot_hasher_roc": GalleryFigure(
        lambda m, f: plots.plot_hasher_roc(all_rates(m), ax=f.subplots()),
        "The receiver operating characteristic of several hashers over the same images: here of "
        "the hash, and of bits that say which of its 144 values are above their median. Where a "
        "line is dotted, fewer than ten full dyads (pairs of two originals) match.",
    ),
    "plot_hasher_det": GalleryFigure(
        lambda m, f: plots.plot_hasher_det(all_rates(m), ax=f.subplots()),
        "The detection error tradeoff of the same hashers: false non-match rate over false match "
        "rate. A curve further to the lower left is better.",
    ),
    "plot_hasher_recall": GalleryFigure(
        lambda m, f: plots.plot_hasher_recall(m.equal_rates, confidence=0.95, ax=f.subplots()),
        "Recall of each transform by the same hashers, each at the threshold in its own unit that "
        "keeps the same false match rate.",
    ),
    "plot_precision_recall": GalleryFigure(
        lambda m, f: plots.plot_precision_recall(
            m.estimates, thresholds=THRESHOLDS, ax=f.subplots()
        ),
        "Precision, the proportion of matches that is genuine, over recall, the proportion of "
        "genuine pairs that matches. Precision depends on how many pairs of each kind there are, "
        "so that only curves of one evaluation compare.",
    ),
    "plot_false_match_rates": GalleryFigure(
        lambda m, f: plots.plot_false_match_rates(
            m.estimates, thresholds=THRESHOLDS, targets=(1e-3, 1e-6), ax=f.subplots()
        ),
        "The proportion of impostor pairs within each L2 distance, on a logarithmic axis, with its "
        "interval. Counted, bounded and extrapolated rates are drawn differently: the lower "
        "the target rate, the less data there is for it.",
    ),
    "plot_recall": GalleryFigure(
        lambda m, f: plots.plot_recall(m.recall, confidence=0.95, ax=f.subplots()),
        "The proportion of the variants of each transform that matches at each threshold, with its "
        "interval. Transforms with a low recall are on the left: here mirroring, a crop of 5 % and "
        "half the size, of images of 64 x 48 pixels.",
        holds=recall_holds,
    ),
    "plot_variant_distances": GalleryFigure(
        lambda m, f: plots.plot_variant_distances(
            m.results.tables["transforms"], thresholds=THRESHOLDS, ax=f.subplots()
        ),
        "L2 distances of the variants of each transform from their originals: median, 95th "
        "percentile and largest. At a threshold on the right of a mark, that share matches.",
    ),
    "plot_impostor_distances": GalleryFigure(
        lambda m, f: plots.plot_impostor_distances(
            m.detail, thresholds=THRESHOLDS, ax=f.subplots()
        ),
        "L2 distances of impostor pairs by the detail of the originals: nearest and median. The "
        "nearest pairs of little detail, here of plain skies, match by chance at the threshold of "
        "production, though their median is not lower; pairs of more detail do not match.",
        holds=detail_holds,
    ),
}


def main() -> None:
    """Draw the figures that the command line names."""
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
    """Write data/figures/thresholds.png: the false match rates of the example evaluation."""
    config = pdna.evaluation.Config.load(DATA / "evaluation.toml")
    with tempfile.TemporaryDirectory() as folder:
        results = pdna.evaluation.run(config, folder)
    figure = plt.figure(figsize=(9, 5.5), layout="constrained")
    plots.plot_false_match_rates(
        results.estimates.all_originals,
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
    """Raise SystemExit if the gallery lacks a public figure, or has one that does not exist."""
    public = {name for name in names if name.startswith("plot_")}
    if public != set(GALLERY):
        odd = ", ".join(sorted(public ^ set(GALLERY)))
        raise SystemExit(f"GALLERY in {__file__} and plots.__all__ differ in: {odd}")


def check_tail(material: Material) -> None:
    """Raise SystemExit if there is no extrapolation, which a figure is to show."""
    tail = material.estimates.tail
    if tail is None or not tail.accepted:
        reason = material.estimates.no_rates_reason if tail is None else tail.rejection_reason
        raise SystemExit(f"Of {material.originals} originals no tail is accepted: {reason}")


def check_captions(material: Material) -> None:
    """Raise SystemExit if a caption claims something that is not true for the material."""
    wrong = ", ".join(name for name, entry in GALLERY.items() if not entry.holds(material))
    if wrong:
        raise SystemExit(f"GALLERY in {__file__}: the captions are not true of {wrong}")


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
        images = "".join(
            f"<img src='{path.name}' alt='{path.stem}'>"
            for path in paths
            if path.name.startswith(f"{name}-")
        )
        caption = html.escape(entry.caption)
        parts.append(f"<section><h2>{name}</h2><p>{caption}</p>{images}</section>")
    return "\n".join(parts) + "\n"


def _opened(path: Path) -> Image.Image:
    with Image.open(path) as image:
        return image.convert("RGB")


if __name__ == "__main__":
    main()
