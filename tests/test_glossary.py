"""Each name that users meet in results has an entry in the documentation."""

import dataclasses
import inspect
import re

import numpy as np
import pytest
from conftest import JIT_OFF, ROOT
from evaluations import config_of, some_hashed

import photodna_nb as pdna
from photodna_nb.evaluation.class_rates import class_tables
from photodna_nb.evaluation.counting import count_pairs

pytestmark = pytest.mark.skipif(JIT_OFF, reason="says nothing about the kernels")

GLOSSARY = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
API = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")


def entries(heading):
    """Return the names in the first column of the tables that follow a heading of columns."""
    table = GLOSSARY.partition(f"| {heading} | meaning |\n")[2].partition("\n\n")[0]
    return set(re.findall(r"`(\w+)`", " ".join(row.split("|")[1] for row in table.splitlines())))


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """An evaluation with a row in each table: it has a duplicate and a file that is no image."""
    folder = tmp_path_factory.mktemp("evaluation")
    images = folder / "images"
    images.mkdir()
    dataset = pdna.datasets.dead_leaves(24, (64, 48))
    for number in range(24):
        dataset[number].open().save(images / f"{number:02}.png")
    dataset[0].open().resize((96, 72)).save(images / "duplicate.png")
    (images / "bad.png").write_bytes(b"no image")
    config = folder / "evaluation.toml"
    config.write_text(
        """
        originals = { kind = "directory", path = "images" }
        variants = { transforms = ["jpeg:30", "mirror"] }
        thresholds = { named = { NAME = 200 }, targets = [0.2] }
        """
    )
    return pdna.evaluation.run(config, folder / "run")


def test_each_column_of_an_evaluation_has_an_entry(results):
    known = entries("column")
    used = set()
    for name, rows in results.tables.items():
        assert rows, f"{name} has no row, so its columns are not checked"
        columns = {re.sub("_recommended$|_supported$", "_NAME", column) for column in rows[0]}
        assert columns <= known, f"{name}: {sorted(columns - known)}"
    used = {
        re.sub("_recommended$|_supported$", "_NAME", c)
        for t in results.tables.values()
        for c in t[0]
    }
    assert known <= used, sorted(known - used)


def test_each_key_of_a_summary_has_an_entry(results):
    assert set(results.summary) == entries("key of the summary")
    for name in ("curves", "tail"):
        assert set(results.summary[name]) == entries(f"key of `{name}`"), name


def test_each_column_of_sources_and_categories_has_an_entry():
    counts = count_pairs(
        some_hashed(9, 1, 0),
        np.arange(9) % 2 == 0,
        labels={"sources": "aaabbbccc", "categories": "xyxyxyxyx"},
    )
    rows = class_tables(config_of(), counts, {"low": 100}).values()
    columns = {column for table in rows for column in table[0]}
    assert columns == entries("column of sources and categories")
    assert len(columns) == 21


def test_each_field_of_a_public_record_is_in_the_list_of_public_names():
    records = [
        record
        for name in pdna.__all__
        if dataclasses.is_dataclass(record := getattr(pdna, name)) or hasattr(record, "_fields")
    ]
    assert len(records) >= 5
    for record in records:
        row = re.search(rf"^\| `{record.__name__}` \| (.*) \|$", API, re.MULTILINE)[1]
        fields = getattr(record, "_fields", None) or [f.name for f in dataclasses.fields(record)]
        properties = dict(inspect.getmembers(record, lambda value: isinstance(value, property)))
        for name in [*fields, *properties]:
            assert re.search(rf"`\.?{name}\b", row), f"{record.__name__}.{name}"
