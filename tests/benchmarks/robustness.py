"""Recall of four hashes at equal false match rates: the tables of docs/robustness.md.

    python tests/benchmarks/robustness.py RUNS [--shared ../shared] [--write]

Drawn pictures, and photographs of the folder that --shared names, go through the transforms of
standard-1. RUNS is a folder that keeps the runs; what is in it is not hashed again. --write puts
the tables into docs/robustness.md, between the comments that name them; otherwise they are printed.
"""

from __future__ import annotations

import csv
from argparse import ArgumentParser
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from measuring import heading, markdown

import photodna_nb as pdna
from photodna_nb.evaluation import Config, Results, run

PAGE = Path(__file__).parents[2] / "docs" / "robustness.md"
HASHERS = ("photodna", "pdq", "perceptual", "difference")
FIRST = HASHERS[0]
NUMBER, SIZE, SEED = 1000, [256, 192], 0
TARGETS, FEW_TARGETS = (1e-2, 1e-3, 1e-4, 1e-5), (0.1, 0.05, 0.02, 0.01)
# At which the recalls of single transforms are compared.
DRAWN_TARGET, PHOTOGRAPH_TARGET = 1e-3, 0.02
# Frames of potatoes whose numbers are this close may show one potato twice.
FRAMES_APART = 20
RESIZED = "neardup/images/datasets/caltech_101_rand_resize"
POTATOES = "neardup/images/datasets/potatoes"
SAMPLES = "perception/images"


# Corpora.


def drawn(number: int) -> dict[str, Any]:
    """Return the sections of the run of drawn pictures."""
    pictures = {"kind": "dead_leaves", "number": number, "size": SIZE, "seed": SEED}
    return {"originals": pictures}


def photographs(golden: Path, kinds: Path, thresholds: dict[str, int]) -> dict[str, Any]:
    """Return the sections of the run of photographs, whose kinds are written into a file.

    thresholds : Of each hash, one that was chosen on the drawn pictures.
    """
    chairs, others = samples(golden)
    potatoes = apart(golden)
    different = [*first_of_each(golden), *others, *chairs]
    with kinds.open("w", newline="", encoding="utf-8") as file:
        rows = [(path, "potatoes") for path in potatoes] + [(path, "other") for path in different]
        csv.writer(file).writerows([("path", "category"), *rows])
    named = {name: {"drawn": threshold} for name, threshold in thresholds.items()}
    return {
        "originals": {"kind": "list", "paths": [*different, *potatoes]},
        "pairs": {"duplicates": [chairs]},
        "categories": {"file": str(kinds.resolve())},
        "thresholds": {"named": named.pop(FIRST), "targets": list(FEW_TARGETS)},
        "hash": {"thresholds": named},
    }


def first_of_each(golden: Path) -> list[str]:
    """Return the largest of the resized copies of each photograph."""
    table = pdna.hash_directory(golden / RESIZED)
    groups = pdna.duplicates(table, 100).groups()
    return sorted(f"{RESIZED}/{Path(group.members[0].path).name}" for group in groups)


def samples(golden: Path) -> tuple[list[str], list[str]]:
    """Return the three photographs of one scene, and those of different ones."""
    paths = (path for path in (golden / SAMPLES).rglob("*.*") if path.parent.name != "logos")
    names = sorted(str(path.relative_to(golden)) for path in paths)
    chairs = [name for name in names if "chair" in name]
    return chairs, [name for name in names if name not in chairs]


def apart(golden: Path) -> list[str]:
    """Return frames that show different potatoes."""
    series: dict[tuple[str, int], list[tuple[int, str]]] = {}
    for path in (golden / POTATOES).glob("*.png"):
        day, number = path.stem.rsplit("-", 1)
        name = str(path.relative_to(golden))
        series.setdefault((day, len(number)), []).append((int(number), name))
    kept = []
    for frames in series.values():
        last = -FRAMES_APART - 1
        for number, name in sorted(frames):
            if number - last > FRAMES_APART:
                kept.append(name)
                last = number
    return sorted(kept)


def evaluated(sections: dict[str, Any], run_dir: Path, base: Path | None = None) -> Results:
    """Return the results of all hashers."""
    values = {**sections, "variants": {"transforms": "standard-1"}}
    values["hash"] = {"names": list(HASHERS), **sections.get("hash", {})}
    values["thresholds"] = {"targets": list(TARGETS), **sections.get("thresholds", {})}
    return run(Config.from_dict(values, base=base or "."), run_dir, progress=True)


# Tables.


def percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.1f}"


def versions(results: Results) -> str:
    """Return the versions of the packages that compute hashes."""
    of_hashes = results.manifest["versions"]["hashes"]
    own = dict.fromkeys(of_hashes[name] for name in results.hashers if name in of_hashes)
    return ", ".join([*own, *(f"{name} {of_hashes[name]}" for name in ("libjpeg", "libwebp"))])


def at_rate(results: Results, target: float, spec: str | None = None) -> dict[str, dict[str, Any]]:
    """Return the row of each hasher at a target rate, of one transform or of all."""
    return {
        row["hasher"]: row
        for row in results.tables["equal_rates"]
        if row["target"] == target and row["transform"] == spec
    }


def overall(results: Results) -> str:
    """Return the numbers of each hash over all transforms together."""
    heads = ["hash", "equal error rate", "area under the ROC", "average precision"]
    rows = []
    for row in results.tables["hashers"]:
        numbers = [f"{row['auc']:.4f}", f"{row['average_precision']:.4f}"]
        rows.append([row["hasher"], f"{row['equal_error_rate']:.2%}", *numbers])
    return markdown(heads, rows)


def thresholds(results: Results, targets: Iterable[float]) -> str:
    """Return the threshold of each hash for each target, and its rate on the other half."""
    heads = ["hash", "unit", *(f"{target:g}" for target in targets)]
    rows = []
    for name, found in results.hashers.items():
        points = [at_rate(results, target).get(name) for target in targets]
        cells = [
            f"{point['threshold']} ({point['false_match_rate']:.1e})"
            if point and point["threshold"] is not None
            else ""
            for point in points
        ]
        rows.append([name, found.hasher.unit, *cells])
    return markdown(heads, rows)


def recall(results: Results, target: float) -> str:
    """Return the recall of each transform, and the differences from the first hash."""
    names = list(results.hashers)
    heads = ["transform", *names, *(f"{name} - {names[0]}" for name in names[1:])]
    rows = []
    if not at_rate(results, target):
        raise SystemExit(f"{target:g}: is supported by no hash; take more pictures")
    for spec in (None, *(transform.spec for transform in results.config.transforms)):
        points = at_rate(results, target, spec)
        label = "all together" if spec is None else pdna.transforms.parse(spec).label
        recalls = [percent(points[name]["recall"]) for name in names]
        rows.append([label, *recalls, *(difference(points[name]) for name in names[1:])])
    return markdown(heads, rows)


def difference(row: dict[str, Any]) -> str:
    """Return the difference of a recall from the first hash's, with its interval."""
    ends = ("", "_lower", "_upper")
    values = [row[f"recall_difference{end}"] for end in ends]
    if None in values:
        return ""
    middle, low, high = (100 * value for value in values)
    return f"{middle:+.1f} ({low:+.1f} to {high:+.1f})"


def costs(results: Results) -> str:
    """Return the time and the bytes of a picture."""
    this_run, transforms = results.manifest["this_run"], results.config.transforms
    seconds, pictures = this_run["processor_seconds"], this_run["originals_hashed"]
    pictures *= 1 + len(transforms)
    size = {row["hasher"]: row["bytes"] for row in results.tables["hashers"]}
    of_one = {name: f"{1000 * value / pictures:.2f}" for name, value in seconds.items()}
    rows = [[name, str(size[name]), of_one[name]] for name in results.hashers]
    rows.append(["making the picture", "", of_one["images"]])
    return markdown(["", "bytes", "milliseconds of a processor"], rows)


def transfer(results: Results) -> str:
    """Return the impostor pairs of each two kinds that match at the threshold of drawn pictures."""
    kinds = next(iter(results.hashers.values())).counts.partitions["categories"]
    pairs = [f"{kinds.names[a]} and {kinds.names[b]}" for a, b in kinds.pairs]
    rows = []
    for name, found in results.hashers.items():
        threshold = found.config.thresholds.named["drawn"]
        counted = found.counts.partitions["categories"].impostor
        cells = [f"{n[: threshold + 1].sum():,} of {n.sum():,}" for n in counted]
        rows.append([name, f"{found.hasher.unit} {threshold}", *cells])
    return markdown(["hash", "threshold", *pairs], rows)


def write(tables: dict[str, str]) -> None:
    """Put tables between the comments of the page that name them."""
    page = PAGE.read_text("utf-8")
    for name, text in tables.items():
        first, last = f"<!-- made: {name} -->\n", f"<!-- end: {name} -->"
        before, found, rest = page.partition(first)
        _, ended, after = rest.partition(last)
        if not (found and ended):
            raise SystemExit(f"{PAGE.name}: has no place for {name!r}; write {first}{last}")
        page = f"{before}{first}{text}\n{last}{after}"
    PAGE.write_text(page)


def main() -> None:
    """Run the corpora, and print or write the tables."""
    parser = ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("runs", type=Path, help="a folder that keeps the runs")
    parser.add_argument("--pictures", type=int, default=NUMBER, help="how many are drawn")
    parser.add_argument("--shared", type=Path, help="the folder that has golden/neardup")
    parser.add_argument("--write", action="store_true", help="into docs/robustness.md")
    given = parser.parse_args()
    given.runs.mkdir(exist_ok=True)
    of_drawn = evaluated(drawn(given.pictures), given.runs / "drawn")
    tables = {
        "when": f"{heading().strip()}, {versions(of_drawn)}.",
        "drawn overall": overall(of_drawn),
        "drawn thresholds": thresholds(of_drawn, TARGETS),
        "drawn recall": recall(of_drawn, DRAWN_TARGET),
    }
    if of_drawn.manifest["this_run"]["originals_hashed"]:  # otherwise nothing was timed
        tables["costs"] = costs(of_drawn)
    if given.shared:
        golden = given.shared / "golden"
        chosen = {name: row["threshold"] for name, row in at_rate(of_drawn, DRAWN_TARGET).items()}
        sections = photographs(golden, given.runs / "kinds.csv", chosen)
        of_photographs = evaluated(sections, given.runs / "photographs", golden)
        tables |= {
            "photographs overall": overall(of_photographs),
            "photographs thresholds": thresholds(of_photographs, FEW_TARGETS),
            "photographs recall": recall(of_photographs, PHOTOGRAPH_TARGET),
            "photographs transfer": transfer(of_photographs),
        }
    if given.write:
        write(tables)
    else:
        print(*(f"{name}:\n\n{text}\n" for name, text in tables.items()), sep="\n")


if __name__ == "__main__":
    main()
