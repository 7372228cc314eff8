"""What a researcher writes, for type checkers: `mypy --strict` and pyright must accept it.

    python tests/typing/user.py data/pictures

It runs, too, with the extras `report` and `tables`.
"""

import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, assert_type

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from numpy.typing import NDArray
from PIL import Image

import photodna_nb as pdna

Hashes = NDArray[np.uint8]


def hashed(folder: Path) -> pdna.HashTable:
    """Hash the files of a folder, and keep what failed."""
    paths = sorted(folder.iterdir())
    table = pdna.hash_files(paths, errors="record", max_workers=2)
    assert_type(table.hashes, Hashes)
    assert_type(table.paths, list[str])
    assert_type(table.detail, NDArray[np.float64])
    assert_type(table[0], pdna.HashRow)
    assert_type(table[table.detail > 100], pdna.HashTable)
    for failure in table.failures:
        print(failure.path, failure.error, file=sys.stderr)
    assert_type(pdna.hash_file(paths[0]), Hashes)
    with Image.open(paths[0]) as image:
        assert_type(pdna.hash_image(image), Hashes)
        assert_type(pdna.detail(image), float)
    assert_type(pdna.trace(np.zeros((100, 100, 3), np.uint8)).feature_grid, NDArray[np.float64])
    return pdna.hash_directory(folder, recursive=True, progress=False)


def stored(table: pdna.HashTable, folder: Path) -> pdna.HashTable:
    """Write a table to a file, and read it again."""
    table.save(folder / "hashes.npz")
    frame = pdna.HashTable.load(folder / "hashes.npz").to_pandas()
    assert_type(frame, pd.DataFrame)
    return pdna.HashTable.from_pandas(frame[frame["detail"] > 100])


def compared(table: pdna.HashTable) -> Iterable[tuple[str, str]]:
    """Return the names of pairs within a distance."""
    assert_type(pdna.orientations(table.hashes), Hashes)
    neighbours = pdna.nearest(table, k=2)
    assert_type(neighbours.indices, NDArray[np.int64])
    assert_type(pdna.distance_histogram(table).counts, NDArray[np.int64])
    groups = pdna.duplicates(table, max_distance=100, orientations=True)
    assert_type(groups, pdna.DuplicateGroups)
    assert_type(pdna.match(table, table).to_pandas(), pd.DataFrame)
    pairs = pdna.pairs_within(table, max_distance=200)
    assert_type(pairs[0], pdna.Pair)
    assert_type(pairs[pairs.distance < 100], pdna.Pairs)
    return [(pair.path_i or "", pair.path_j or "") for pair in pairs]


def searched(table: pdna.HashTable, folder: Path) -> list[pdna.Match]:
    """Search for the hashes of a table in an index on disk, and in one in memory."""
    with pdna.HashIndex.create(folder / "index.faiss", folder / "meta.sqlite") as index:
        added = index.add(table)
        assert_type(added.ids, list[int])
        index.save()
    memory = pdna.HashIndex.in_memory()
    memory.add(["a", "b"], table.hashes[:2], extra=[{"source": "camera"}, {}])
    try:
        with pdna.HashIndex.open(folder / "index.faiss", folder / "meta.sqlite") as index:
            results = index.search(table, 5, max_distance=100)
            assert_type(results.to_pandas(), pd.DataFrame)
            return [match for matches in results for match in matches]
    except pdna.IndexFileError as error:
        print(error.path, error.reason)
        return []


def evaluated(folder: Path) -> pdna.evaluation.Results:
    """Evaluate generated images with a few transforms."""
    config = pdna.evaluation.Config.from_dict(
        {
            "originals": {"kind": "dead_leaves", "number": 40, "size": [96, 96]},
            "variants": {"transforms": ["jpeg:30", "resize:50"]},
        }
    )
    results = pdna.evaluation.run(config, folder / "run", max_workers=2)
    assert_type(results.tables["thresholds"], list[dict[str, Any]])
    rates = results.estimates.all_originals
    if rates.false_match_rates is not None:
        choice = pdna.evaluation.supported_threshold(rates.false_match_rates, rates.tail)
        print(choice.threshold, choice.reason)
    return results


def drawn(results: pdna.evaluation.Results, picture: Path, folder: Path) -> None:
    """Draw figures, and write the page of a run."""
    rates = results.estimates.all_originals
    assert_type(pdna.plots.plot_false_match_rates(rates), Axes)
    with Image.open(picture) as image:
        sheet = pdna.plots.plot_trace(image, pdna.trace(image), figure=Figure((13, 7.5)))
    assert_type(sheet, Figure | SubFigure)
    png = pdna.plots.render_png(lambda: pdna.plots.plot_roc(rates), dpi=100)
    (folder / "roc.png").write_bytes(png)
    print(pdna.report.write(results), *pdna.report.recommend(results).sentences)


def main() -> None:
    """Do all of it with the images of a folder."""
    images = Path(sys.argv[1])
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        table = stored(hashed(images), folder)
        print(*compared(table), sep="\n")
        print(*searched(table, folder), sep="\n")
        drawn(evaluated(folder), next(images.glob("*.jpg")), folder)


if __name__ == "__main__":
    main()
