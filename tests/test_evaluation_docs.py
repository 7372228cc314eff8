"""The examples of docs/evaluation.md on one's own originals run as they stand there."""

import re
import shutil

import numpy as np
import pytest
from conftest import JIT_OFF, ROOT

import photodna_nb as pdna

pytestmark = pytest.mark.skipif(JIT_OFF, reason="the same with or without JIT, but slowly")

PAGE = (ROOT / "docs" / "evaluation.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The files that the examples name."""
    folder = tmp_path_factory.mktemp("docs")
    (folder / "photos").mkdir()
    originals = pdna.datasets.dead_leaves(12, (64, 48), seed=3)
    for number, original in enumerate(originals):
        original.open().save(folder / "photos" / f"{number}.png")
    rows = [f"photos/{number}.png" for number in range(12)]
    hashes = np.stack([pdna.hash_image(original.open()) for original in originals])
    scenes = ["a", "a", *[""] * 10]
    table = pdna.HashTable(rows, hashes, np.full(12, np.nan), other={"scene": scenes})
    table.save(folder / "hashes.csv")
    (folder / "categories.csv").write_text("path,category\n0.png,sea\n1.png,sea\n2.png,town\n")
    (folder / "copies").mkdir()
    lines = ["original,variant,label"]
    for number, original in enumerate(originals):
        original.open().rotate(2).save(folder / "copies" / f"{number}.jpg")
        lines.append(f"{number}.png,copies/{number}.jpg,messenger")
    (folder / "variants.csv").write_text("\n".join(lines))
    original.open().save(folder / "photos" / "11_again.jpg")
    pairs = ["a,b,same,category", "11.png,11_again.jpg,1,sea"]
    pairs += [
        f"{number}.png,{number + 1}.png,0,{('sea', 'town')[number % 2]}" for number in range(11)
    ]
    (folder / "pairs.csv").write_text("\n".join(pairs))
    return folder


@pytest.mark.parametrize(
    "heading",
    [
        "Hashes without pictures",
        "Several sources",
        "Categories",
        "Altered copies from files",
        "Labelled pairs",
    ],
)
def test_an_example(folder, heading, monkeypatch):
    monkeypatch.chdir(folder)
    section = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    (toml,) = re.findall(r"^```toml\n(.*?)^```", section, re.DOTALL | re.MULTILINE)
    (python,) = re.findall(r"^```python\n(.*?)^```", section, re.DOTALL | re.MULTILINE)
    (folder / toml.partition("\n")[0].removeprefix("# ")).write_text(toml)
    values = {"pdna": pdna}
    exec(python, values)
    results = values["results"]
    for name in re.findall(r'tables\["(\w+)"\]', python):
        assert results.tables[name], name
    for key in re.findall(r'row\["(\w+)"\]', python):
        assert values["row"][key] is not None
    assert "no_recall_reason" not in results.summary  # the groups of the table give some
    assert all(text in section for text in results.counts.partitions)
    shutil.rmtree(results.run_dir)
