"""The report: what it says, that it says it by itself, and when it says nothing."""

import base64
import html
import io
import json
import os
import re
import shutil
import tomllib
from html.parser import HTMLParser
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from conftest import JIT_OFF, needs
from PIL import Image
from PIL.PngImagePlugin import PngInfo

mpl.use("agg")

import matplotlib.pyplot as plt
from matplotlib.text import Text

import photodna_nb as pdna
from photodna_nb.evaluation import Config, Results, run
from photodna_nb.report import formatting
from photodna_nb.report.corpus import corpus
from photodna_nb.report.figures import figures as draw_figures

pytestmark = pytest.mark.skipif(JIT_OFF, reason="the same with or without JIT, but slowly")


FEW = {"kind": "dead_leaves", "number": 20, "size": [64, 48]}


def evaluated(folder, **sections):
    values = {
        "originals": {"kind": "dead_leaves", "number": 300, "size": [64, 48]},
        "variants": {"transforms": ["jpeg:10", "crop:5", "mirror"]},
        "deployment": {"list_size": 1_000_000, "queries_per_day": 100_000},
        **sections,
    }
    return run(Config.from_dict(values, base=folder.parent), folder)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """A run over generated images, with its report."""
    results = evaluated(tmp_path_factory.mktemp("drawn") / "run")
    pdna.report.write(results)
    return results


class Page(HTMLParser):
    """What a browser would take from a page: addresses, and the words between the tags."""

    def __init__(self, path):
        super().__init__()
        self.images, self.addresses, self.words, self.tags = [], [], [], []
        self.content = path.read_text(encoding="utf-8")
        self.feed(self.content)
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        values = dict(attrs)
        if tag == "img":
            self.images.append(values["src"])
        self.addresses += [values[name] for name in ("src", "href", "action") if name in values]

    def handle_data(self, data):
        if self.lasttag not in ("style", "title"):
            self.words.append(data)


def page_of(results):
    return Page(Path(results.run_dir) / "report.html")


# The page


def test_everything_is_in_the_page(drawn, tmp_path):
    page = page_of(drawn)
    assert "script" not in page.tags
    assert all(address.startswith("data:image/") for address in page.addresses)
    images = [base64.b64decode(source.partition("base64,")[2]) for source in page.images]
    for content in images:
        with Image.open(io.BytesIO(content)) as image:
            image.load()
    folder = tmp_path / drawn.run_dir  # absolute
    figures = {path.name: path.read_bytes() for path in (folder / "figures").iterdir()}
    assert len(figures) == 2 * 7
    shown = {content for name, content in figures.items() if "narrow" not in name}
    assert shown <= set(images)
    narrow = re.findall(r'srcset="data:image/png;base64,([^"]+)"', page.content)
    assert {base64.b64decode(one) for one in narrow} == set(figures.values()) - shown
    small = {path.read_bytes() for path in (folder / "thumbnails").iterdir()}
    assert len(small) >= 16
    assert small <= set(images)
    assert '<meta name="viewport" content="width=device-width' in page.content
    for name, digest in drawn.manifest["results"].items():
        assert name in page.text
        assert digest in page.text
    for name, digest in drawn.manifest["inputs"].items():
        assert f"{name} {digest}" in page.text
    for name, version in drawn.manifest["versions"]["results"].items():
        assert f"{name} {drawn.manifest['versions']['hashes'].get(name) or ''}".strip() in page.text
        assert version in page.text


@pytest.mark.long
def test_texts_of_figures_are_legible_on_a_phone(drawn, monkeypatch):
    """The images are 358 pixels wide there; a pixel of text is one of the page."""
    smallest = {}

    def measured(draw, size, dpi, fonts):
        with mpl.rc_context({"figure.figsize": size}):
            figure = draw().figure
            figure.draw_without_rendering()
            texts = (text for text in figure.findobj(Text) if text.get_text().strip())
            pixels = min(text.get_fontsize() for text in texts) / 72 / size[0] * 358
            smallest.setdefault(size[0] < 4, []).append(pixels)
            plt.close(figure)
        return b""

    monkeypatch.setattr(pdna.plots, "render_png", measured)
    draw_figures(drawn, ())
    assert len(smallest[True]) == len(smallest[False]) == 7
    assert min(smallest[True]) >= 9 > min(smallest[False])


def test_the_recommendation_comes_first(drawn):
    page = page_of(drawn)
    recommendation = pdna.report.recommend(drawn)
    first = page.text.index(recommendation.sentences[0])
    assert first < page.text.index("Figures")
    assert f"L2 ≤ {recommendation.threshold}" in page.text[:first]
    for sentence in (*recommendation.sentences, *recommendation.warnings):
        assert sentence in page.text


@pytest.mark.long
def test_the_configuration_in_the_page_repeats_the_run(drawn, tmp_path):
    (toml,) = re.findall(
        r"<summary>Configuration</summary><pre>(.*?)</pre>", page_of(drawn).content, re.S
    )

    (tmp_path / "again.toml").write_text(html.unescape(toml))
    config = Config.load(tmp_path / "again.toml")
    assert config == drawn.config
    again = run(config, tmp_path / "run", max_workers=1)
    # The style and the open figures of the user have no influence.
    with plt.style.context("dark_background"):
        plt.rcParams["font.size"] = 31
        open_figures = plt.get_fignums()
        pdna.report.write(again)
        assert plt.get_fignums() == open_figures
        assert plt.rcParams["font.size"] == 31
    assert again.manifest["report"] == drawn.manifest["report"]
    assert again.manifest["results"] == drawn.manifest["results"]


def test_hostile_names_and_bad_images(tmp_path, no_figures):
    photos = tmp_path / "photos"
    photos.mkdir()
    rng = np.random.default_rng(1)
    for name in (
        "<script>alert(1)<",
        "a & b",
        "é\n\x1b[31m",
        b"\xff\xfe".decode("utf-8", "surrogateescape"),
    ):
        small = Image.fromarray(rng.integers(0, 256, (6, 6, 3), np.uint8))
        small.resize((60, 50)).save(photos / f"{name}.png")
    (photos / "<b>.jpg").write_bytes(b"nothing")
    results = evaluated(tmp_path / "run", originals={"kind": "directory", "path": "photos"})
    pdna.report.write(results)
    page = page_of(results)
    assert "script" not in page.tags
    assert "b" not in page.tags
    assert "<script>alert(1)<.png" in page.text
    assert "a & b.png" in page.text
    assert r"\x1b[31m" in page.text
    assert "<b>.jpg" in page.text
    assert "is not an image that Pillow can identify" in page.text
    assert "Not made or hashed: 1 original" in page.text
    assert "only 4 originals" in page.text
    assert Results.load(tmp_path / "run").failures == results.failures


def test_a_image_that_is_gone(tmp_path, no_figures):
    photos = tmp_path / "photos"
    photos.mkdir()
    rng = np.random.default_rng(1)
    for name in "abc":
        Image.fromarray(rng.integers(0, 256, (50, 60, 3), np.uint8)).save(photos / f"{name}.png")
    config = {"originals": {"kind": "directory", "path": "photos"}}
    results = evaluated(tmp_path / "run", **config)
    for image in (tmp_path / "run" / "thumbnails").iterdir():
        image.unlink()
    with pytest.raises(pdna.FileError, match=r"thumbnails.*\.jpg"):
        pdna.report.write(tmp_path / "run")
    with pytest.raises(pdna.FileError, match=r"thumbnails.*\.jpg"):
        pdna.report.write(results)
    pdna.report.write(evaluated(tmp_path / "run", **config))
    assert len(page_of(results).images) == 7 + 6 + 3


# Its folder


def test_a_report_does_not_outlive_its_results(tmp_path, no_figures):
    results = evaluated(tmp_path / "run", originals=FEW)
    path = pdna.report.write(tmp_path / "run")
    assert path == str(tmp_path / "run" / "report.html")
    first = (tmp_path / "run" / "report.html").read_bytes()
    loaded = Results.load(tmp_path / "run")
    assert "report.html" in loaded.manifest["report"]
    other = evaluated(tmp_path / "run", originals=FEW, thresholds={"named": {"x": 150}})
    assert not (tmp_path / "run" / "report.html").exists()
    assert list((tmp_path / "run" / "figures").iterdir()) == []
    with pytest.raises(pdna.FileError, match="now holds the results of another run"):
        pdna.report.write(results)
    pdna.report.write(other)
    assert (tmp_path / "run" / "report.html").read_bytes() != first
    (tmp_path / "run" / "report.html").write_bytes(first)
    with pytest.raises(pdna.FileError, match=r"report.html: is not the file that manifest"):
        Results.load(tmp_path / "run")


def test_fonts_of_the_figures(tmp_path, monkeypatch, no_figures):
    given = set()
    monkeypatch.setattr(
        pdna.plots, "render_png", lambda draw, size, dpi, fonts: given.add(fonts) or no_figures
    )
    pdna.report.write(evaluated(tmp_path / "run", originals=FEW), fonts="DejaVu Serif")
    assert given == {"DejaVu Serif"}


def test_a_manifest_that_names_other_files_deletes_none(tmp_path, no_figures):
    results = evaluated(tmp_path / "run", originals=FEW)
    (tmp_path / "precious").write_bytes(b"1")
    (tmp_path / "run" / "notes.txt").write_bytes(b"1")
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text("utf-8"))
    names = ("../precious", "notes.txt", "figures/../../precious", str(tmp_path / "precious"))
    del manifest["digest"]
    manifest["report"] = dict.fromkeys(names, "0")
    (tmp_path / "run" / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(pdna.FileError, match=r"manifest.json: is damaged .* in `\$.report`"):
        pdna.report.write(results)
    evaluated(tmp_path / "run", originals=FEW, seed=0)
    assert (tmp_path / "precious").exists()
    assert (tmp_path / "run" / "notes.txt").exists()


def test_without_jinja(hide_package, tmp_path, capsys):
    from photodna_nb.cli import main

    (tmp_path / "c.toml").write_text(
        "[originals]\nkind = 'dead_leaves'\nnumber = 6\nsize = [40, 30]\n"
        "[variants]\ntransforms = ['mirror']\n"
    )
    hide_package("jinja2", "report")
    assert main(["--evaluate", str(tmp_path / "c.toml"), str(tmp_path / "run")]) == 0
    said = capsys.readouterr().out
    missing = 'the package Jinja2 is missing; pip install "photodna_nb[report]"'
    assert f"Report: not written; photodna_nb.report: {missing}" in said
    assert Results.load(tmp_path / "run").summary["originals"] == 6


# The recommendation


def test_a_threshold_that_was_counted(tmp_path):
    results = evaluated(
        tmp_path / "run",
        deployment={"list_size": 1000, "queries_per_day": 10, "max_false_matches_per_day": 100},
        thresholds={"named": {"a": 600}},
    )
    safe = results.tables["deployment"][1]
    assert safe["source"] == "counted"
    found = pdna.report.recommend(results)
    assert found.threshold == safe["threshold"]
    assert found.recommended
    first = found.sentences[0]
    assert "a list of 1,000 hashes and 10 queries per day, use an L2 distance of at most" in first
    assert "is within the acceptable 100 false matches per day" in first
    rate = safe["false_match_rate"]
    assert f"Its false match rate is {formatting.rate(rate)} (" in first
    assert formatting.amount(rate * 10_000) in first
    assert any("generated" in warning for warning in found.warnings)
    assert not any("extrapolation" in warning for warning in found.warnings)
    assert results.tables["thresholds"][-1]["name"] == "recommended"
    assert [row["threshold"] for row in results.tables["thresholds"]] == [600, found.threshold]
    at = f"recall of 99 % or more at L2 {found.threshold}"
    assert dict(found.transforms)[at] == ["jpeg 10", "crop 5 %"]
    assert "mirror" in dict(found.transforms)["recall below 50 %"]
    (named,) = found.thresholds
    assert named.startswith("At a, an L2 distance of at most 600: recall from ")
    by_transform = found.sentences[1]
    lowest = next(row for row in results.tables["recall"] if row["transform"] == "mirror")
    assert by_transform.startswith("Its recall is from ")
    assert "to 100 % by transform, and lowest for mirror (" in by_transform
    overall = formatting.proportion(safe["recall"])
    assert lowest["recall"] < safe["recall"] < 1
    said = " ".join([*found.sentences, *found.thresholds])
    assert overall not in said, "the mean of the transforms that were chosen"
    assert safe["weighted_recall"] is None
    assert "Weighted" not in said


@pytest.mark.long
def test_the_recall_that_is_weighted(tmp_path, no_figures):
    weights = {"jpeg:10": 8, "crop:5": 1, "mirror": 1}
    results = evaluated(
        tmp_path / "run", variants={"transforms": list(weights), "weights": weights}
    )
    row = results.tables["thresholds"][-1]
    said = f"as the configuration says, it is {formatting.proportion(row['weighted_recall'])} ("
    assert said in " ".join(pdna.report.recommend(results).sentences)
    pdna.report.write(results)
    assert f"{formatting.proportion(row['weighted_recall'])} (" in page_of(results).text


def test_a_threshold_beyond_validation(drawn):
    safe = drawn.tables["deployment"][1]
    assert safe["beyond_validation"], "a rate of 1e-11, from 300,000 pairs"
    found = pdna.report.recommend(drawn.run_dir)
    validated = drawn.summary["tail"]["validated_down_to"]
    supported = drawn.tables["deployment"][2]
    assert supported["target"] == validated
    assert found.threshold == supported["threshold"] > safe["threshold"]
    first, second, recalls, third = found.sentences
    assert "no threshold is shown to stay within the acceptable 1 false match per day" in first
    assert "a false match rate of 1.0 × 10⁻¹¹, and the 300 originals support no claim" in first
    rate = f"at most {formatting.rate(validated)} (extrapolated)"
    assert f"at most {supported['threshold']} has a false match rate of {rate}" in second
    per_day = f"at most {formatting.amount(validated * 1e11)} (extrapolated)"
    assert f"an expected number of false matches per day of {per_day}" in second
    assert f"beyond its validation, suggests L2 {safe['threshold']}." in third
    assert recalls.startswith("Its recall is ")
    assert not found.recommended
    assert drawn.summary["recommended"] is None
    assert drawn.tables["thresholds"][-1]["name"] == "supported"
    assert int(re.search(r"some ([\d,]+) originals", third)[1].replace(",", "")) > 300
    assert any(
        f"on photographs down to {formatting.rate(10 * validated)}, and on generated images "
        f"down to {formatting.rate(validated)}, for as many originals" in one
        for one in found.warnings
    )
    pages = page_of(drawn).text
    assert f"L2 ≤ {found.threshold} supported by the data, but not shown to be acceptable" in pages
    for sentence in found.thresholds:
        assert " ".join(sentence.split()) in pages
    # Beyond the validation, no number of the fit is reported.
    for row in (*drawn.tables["operating_points"], *drawn.tables["thresholds"]):
        if row["tail_beyond_validation"]:
            assert row["tail_rate"] is None
            assert row["tail_upper"] >= min(validated, row.get("target", validated))


def test_no_threshold_at_all(tmp_path, no_figures):
    photos = tmp_path / "photos"
    photos.mkdir()
    rng = np.random.default_rng(1)
    image = Image.fromarray(rng.integers(0, 256, (50, 60, 3), np.uint8))
    for name in range(12):
        different = PngInfo()
        different.add_text("number", str(name))
        image.save(photos / f"{name}.png", pnginfo=different)
    results = evaluated(
        tmp_path / "run",
        originals={"kind": "directory", "path": "photos"},
        deployment={"orientations": True},
    )
    found = pdna.report.recommend(results)
    assert found.threshold is None
    assert "no threshold is shown to stay within" in found.sentences[0]
    assert "66 impostor pairs have the same hash" in found.sentences[0]
    assert "in eight orientations" in found.sentences[0]
    assert any("100, 66 of them the same hash" in one for one in found.warnings)
    assert any("multiplied by eight" in one for one in found.warnings)
    pdna.report.write(results)
    page = page_of(results)
    assert "L2 ≤ " not in page.text.partition("Rates at each threshold")[0]
    assert page.content.count('class="pair"') == 16
    (lines,) = re.findall(r"<pre>(\[pairs\].*?)</pre>", page.content, re.S)
    (group,) = tomllib.loads(html.unescape(lines))["pairs"]["duplicates"]
    assert sorted(group) == sorted(f"{name}.png" for name in range(12))


@needs("names of any bytes")
def test_a_configuration_that_toml_cannot_hold(tmp_path, no_figures):
    paths = [str(tmp_path / os.fsdecode(name)) for name in (b"\xff.png", b"a.png")]
    for path, seed in zip(paths, (1, 2), strict=True):
        noise = np.random.default_rng(seed).integers(0, 256, (40, 30, 3), np.uint8)
        Image.fromarray(noise).save(path)
    results = evaluated(tmp_path / "run", originals={"kind": "list", "paths": paths})
    pdna.report.write(results)
    page = page_of(results)
    (shown,) = re.findall(r"<summary>Configuration</summary><pre>(.*?)</pre>", page.content, re.S)
    assert json.loads(html.unescape(shown)) == results.config.to_dict()


@pytest.mark.parametrize(
    ("originals", "said"),
    [
        ({"kind": "directory", "path": "photos"}, "2 images of the folder photos"),
        ({"kind": "list", "paths": ["photos/a.png", "photos/b.png"]}, "2 listed images"),
        ({"kind": "list", "path": "l.txt"}, "2 images of the list l.txt"),
        (
            {"kind": "dead_leaves", "number": 2, "size": [20, 30], "seed": 4},
            "2 generated images (dead leaves, 20 × 30, seed 4)",
        ),
    ],
)
def test_two_originals(tmp_path, no_figures, originals, said):
    (tmp_path / "photos").mkdir()
    for name in "ab":
        Image.effect_noise((40, 30), 50).save(tmp_path / "photos" / f"{name}.png")
    (tmp_path / "l.txt").write_text("photos/a.png\nphotos/b.png\n")
    results = evaluated(tmp_path / "run", originals=originals, thresholds={"named": {}})
    assert corpus(results) == said
    pdna.report.write(results)
    assert said in page_of(results).text


# Numbers


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (0, "0 %"), (1, "100 %"), (0.5, "50.0 %"), (0.123456, "12.3 %"), (0.9996, "99.96 %"),
        (0.0004, "0.04 %"), (1 - 1e-9, "100.0000 %"), (2e-6, "0.0002 %"),
        (2.4e-9, "2.4 × 10⁻⁷ %"), (None, "–"),
    ],
)  # fmt: skip
def test_shares(value, said):
    assert formatting.proportion(value) == said


@pytest.mark.parametrize(
    ("value", "rate", "amount"),
    [
        (0, "0", "0"), (0.25, "0.25", "0.25"), (0.0031, "0.0031", "0.0031"),
        (2.44e-9, "2.4 × 10⁻⁹", "2.4 × 10⁻⁹"), (9.99e-5, "1.0 × 10⁻⁴", "1.0 × 10⁻⁴"),
        (None, "–", "–"),
    ],
)  # fmt: skip
def test_rates(value, rate, amount):
    assert formatting.rate(value) == rate
    assert formatting.amount(value) == amount


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (4.25, "4.2"), (99.4, "99"), (99.7, "100"), (1234, "1,230"), (999_999, "1,000,000"),
        (86.4e6, "86.4 million"),         (2.5e9, "2.5 billion"), (3e13, "30 trillion"),
        (999.7e6, "1,000 million"),
    ],
)  # fmt: skip
def test_amounts(value, said):
    assert formatting.amount(value) == said


def test_lists():
    assert formatting.join(["a"]) == "a"
    assert formatting.join(["a", "b", "c"]) == "a, b and c"
    assert formatting.count(1, "pair") == "1 pair"
    assert formatting.count(2000, "pair") == "2,000 pairs"


def test_copies_are_listed_though_their_images_are_gone(tmp_path, no_figures):
    """And a name with a character that TOML refuses raw is written as it takes it."""
    photos = tmp_path / "photos"
    photos.mkdir()
    for number, original in enumerate(pdna.datasets.dead_leaves(8, size=(64, 48))):
        original.open().save(photos / f"{number}\x7f.png")
        original.open().resize((62, 47)).save(photos / f"{number} again.png")
    results = evaluated(tmp_path / "run", originals={"kind": "directory", "path": "photos"})
    rows = results.tables["suspected_duplicates"]
    assert [row["group"] for row in rows] == [number for number in range(1, 9) for _ in range(2)]
    assert all(row["thumbnail"] for row in rows)
    photos.rename(tmp_path / "elsewhere")
    shutil.rmtree(tmp_path / "run" / "thumbnails")
    (tmp_path / "run" / "manifest.json").unlink()
    again = run(results.config, tmp_path / "run")
    assert all(row["thumbnail"] is None for row in again.tables["suspected_duplicates"])
    pdna.report.write(again)
    page = page_of(again)
    assert "can no longer be read" in page.text
    assert "8 groups of suspected duplicates, linked" in page.text
    assert "Look at the suspected duplicates first" in page.text
    assert "L2 ≤ " not in page.text.partition("Rates at each threshold")[0]
    (lines,) = re.findall(r"<pre>(\[pairs\].*?)</pre>", page.content, re.S)
    exclude = tomllib.loads(html.unescape(lines))["pairs"]["duplicates"]
    assert sorted(map(sorted, exclude)) == [[f"{n} again.png", f"{n}\x7f.png"] for n in range(8)]


@pytest.mark.parametrize(("exclude_below_detail", "advised"), [(0, True), (100, False)])
def test_flat_images_are_advised_of_where_there_are_any(tmp_path, exclude_below_detail, advised):
    photos = tmp_path / "photos"
    photos.mkdir()
    for number, original in enumerate(pdna.datasets.dead_leaves(6, size=(128, 96))):
        original.open().save(photos / f"{number}.png")
    rng = np.random.default_rng(1)
    for number in range(3):
        noise = rng.integers(0, 2, (96, 128)) + 60 * (number + 1)
        Image.fromarray(noise.astype(np.uint8)).save(photos / f"flat {number}.png")
    results = evaluated(
        tmp_path / "run",
        originals={"kind": "directory", "path": "photos"},
        pairs={"exclude_below_detail": exclude_below_detail},
    )
    warnings = " ".join(pdna.report.recommend(results).warnings)
    assert "33.3 % of the originals (3) have less than 100 grey levels" in warnings
    assert ("leave them out by exclude_below_detail = 100" in warnings) == advised
    assert f"There are only {6 if exclude_below_detail else 9} originals" in warnings
