"""The Python of the pages in docs that show no output runs as it stands there."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from conftest import JIT_OFF, ROOT

import photodna_nb as pdna

pytestmark = [
    pytest.mark.skipif(JIT_OFF, reason="the same with or without JIT, but slowly"),
    pytest.mark.long,
]

PAGES = {"all-pairs": 5, "duplicates": 2, "index": 3, "many-files": 5, "review": 1, "tables": 1}
# What a test has in place of a cluster, and of what is elsewhere on the reader's disk.
INSTEAD = {
    '"tcp://scheduler:8786"': "n_workers=1, processes=False, dashboard_address=None",
    "/data/photos": "photos",
    "IVF1024": "IVF16",
}


@pytest.mark.parametrize("page", PAGES)
def test_python_of_a_page(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for folder in ("photos", "pictures"):
        shutil.copytree(ROOT / "data" / "pictures", folder)
    for original, copy in {
        "harbour": "photos/17",
        "street": "photos/18",
        "pebbles": "new/one",
    }.items():
        Path(copy).parent.mkdir(exist_ok=True)
        shutil.copy(f"pictures/{original}.jpg", f"{copy}.jpg")
    table = pdna.hash_directory("photos")
    for name in ("known.csv", "list.csv", "part1.npz", "part2.npz"):
        table.save(name)
    np.save("part3.npy", table.hashes)
    names = {
        "__name__": "__main__",
        "pdna": pdna,
        "table": table,
        "paths": table.paths,
        "queries": table.hashes[:3],
        "originals": [path.partition("_")[0] for path in table.paths],
        "hashes": np.random.default_rng(0).integers(0, 256, (700, 144), np.uint8),
    }
    text = (ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    blocks = [block for block in blocks if "RayExecutor" not in block]  # see test_executors
    assert len(blocks) == PAGES[page]
    for block in blocks:
        for shown, used in INSTEAD.items():
            block = block.replace(shown, used)
        exec(compile(block, page, "exec"), names)
