"""Copy a part of the golden sets `edge` and `synthetic` to data/golden.

    python data/select_golden.py GOLDEN_DIR

GOLDEN_DIR holds both sets, each with images/, golden.jsonl and stages.npz. Every
fifth image of at most 20,000 pixels is taken, and every fifteenth larger one.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import numpy as np

OUT = Path(__file__).parent / "golden"
STAGES = ("feature_grid", "gradients", "vector", "hash")


def selected(records: list[dict]) -> list[dict]:
    """Return the records to keep."""
    small = [r for r in records if r["size"][0] * r["size"][1] <= 20_000]
    large = [r for r in records if r["size"][0] * r["size"][1] > 20_000]
    return small[::5] + large[::15]


def main(source: Path) -> None:
    """Write images, records and stages."""
    shutil.rmtree(OUT, ignore_errors=True)
    (OUT / "images").mkdir(parents=True)
    records, stages = [], {name: [] for name in ("files", *STAGES)}
    for name in ("edge", "synthetic"):
        lines = (source / name / "golden.jsonl").read_text().splitlines()
        kept = selected([json.loads(line) for line in lines])
        with np.load(source / name / "stages.npz") as values:
            row = {str(file): i for i, file in enumerate(values["files"])}
            arrays = {stage: values[stage] for stage in STAGES}
        for record in kept:
            shutil.copyfile(
                source / name / "images" / record["file"], OUT / "images" / record["file"]
            )
            records.append(record)
            if record["file"] in row:
                stages["files"].append(record["file"])
                for stage in STAGES:
                    stages[stage].append(arrays[stage][row[record["file"]]])
    (OUT / "golden.jsonl").write_text("".join(json.dumps(r) + "\n" for r in records))
    np.savez_compressed(OUT / "stages.npz", **{k: np.array(v) for k, v in stages.items()})
    print(f"{len(records)} records, {len(stages['files'])} with stages")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
