"""Names and titles from outside in figures: drawn as they are, told apart, without a warning."""

import io

import matplotlib as mpl
import numpy as np
import pytest
from conftest import JIT_OFF
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont
from matplotlib.text import Text
from PIL import Image

mpl.use("agg")

import photodna_nb as pdna
from photodna_nb import plots

pytestmark = pytest.mark.skipif(JIT_OFF, reason="the same with or without JIT, but slowly")

FORMULA = r"cash_$x^{2$ \alpha #%&~"  # no formula of Matplotlib, and no command of TeX
# Two names of which every letter is the same box, a direction, a terminal escape, a tab.
NAMES = ("海滩.jpg", "图片.jpg", FORMULA, "a\u202egpj.exe", "\x1b[31m", "\t", "café 𝄞\u20dd")
DRAWN = (
    r"\u6d77\u6ee9.jpg", r"\u56fe\u7247.jpg", FORMULA, r"a\u202egpj.exe", r"\x1b[31m", r"\t",
    r"café \U0001d11e\u20dd",
)  # fmt: skip
IMAGE = np.arange(1200, dtype=np.uint8).reshape(30, 40)
HASH = pdna.hash_image(IMAGE)


def row_of(name):
    distances = {"median_distance": 7, "p95_distance": 20, "largest_distance": 31}
    return {"transform_name": "jpeg", "label": name, "genuine_pairs": 5} | distances


def recall_of(name, threshold):
    interval = {"recall": 0.9, "recall_lower": 0.8, "recall_upper": 0.95}
    row = {"transform": "jpeg:30", "threshold_name": name, "threshold": threshold}
    return row | {"genuine_pairs": 50, "oriented": False} | interval


FIGURES = {
    "labels of pairs": lambda names: plots.plot_image_pairs([(IMAGE, None)] * 7, labels=names),
    "titles of pairs": lambda names: plots.plot_image_pairs(
        [(IMAGE, None)], title="\n".join(names)
    ),
    "names of matches": lambda names: plots.plot_matches(
        IMAGE, [pdna.Match(row, f"/gone/{name}", 9, {}) for row, name in enumerate(names)]
    ),
    "labels of a matrix": lambda names: plots.plot_distance_matrix(
        np.zeros((7, 7), np.float32), labels=names
    ),
    "labels of two hashes": lambda names: [
        plots.plot_hash_pair(HASH, HASH, labels=pair)
        for pair in zip(names, (*names[1:], names[0]), strict=True)
    ],
    "labels of transforms": lambda names: plots.plot_variant_distances(list(map(row_of, names))),
    "names of thresholds": lambda names: plots.plot_variant_distances(
        [row_of("jpeg 30")], thresholds={name: 400 * row for row, name in enumerate(names)}
    ),
    "names of thresholds in a legend": lambda names: plots.plot_recall(
        [recall_of(name, 400 * row) for row, name in enumerate(names)]
    ),
}


@pytest.mark.long
@pytest.mark.parametrize("name", FIGURES)
def test_texts_are_drawn_as_they_are(name):
    """Warnings are errors here, so those of missing glyphs and of formulas are none either."""
    drawn = []

    def draw():
        figures = FIGURES[name](NAMES)
        drawn.extend(figures if isinstance(figures, list) else [figures])
        for one in drawn[1:]:
            one.savefig(io.BytesIO())
        return drawn[0]

    plots.render_png(draw, (11, 8))
    artists = [text for one in drawn for text in root_of(one).findobj(Text)]
    shown = [artist.get_text().replace("\n", " ") for artist in artists]
    for text in DRAWN:
        found = [artist for artist, one in zip(artists, shown, strict=True) if text in one]
        assert found, (text, shown)
        assert not any(artist.get_parse_math() or artist.get_usetex() for artist in found)


def root_of(drawn):
    return drawn.get_figure(root=True)


@pytest.mark.parametrize("name", FIGURES)
def test_texts_are_no_commands_of_tex(name):
    """Also where the user's own style has TeX draw all texts: it could read a file."""
    with mpl.rc_context({"text.usetex": True}):
        figures = FIGURES[name]([r"\input{/etc/passwd}", *NAMES[1:]])
    for one in figures if isinstance(figures, list) else [figures]:
        artists = root_of(one).findobj(lambda artist: isinstance(artist, Text))
        named = [artist for artist in artists if r"\input" in artist.get_text()]
        assert not any(artist.get_usetex() for artist in named)
        mpl.pyplot.close(root_of(one))


def pairs_of(names):
    return lambda: plots.plot_image_pairs([(IMAGE, None)] * len(names), labels=names)


def test_a_font_of_the_caller():
    """Its letters are drawn, by the name of the font or by its file; others are escapes."""
    letter = "x\u20dd"  # no glyph in Matplotlib's own font
    own = plots.render_png(pairs_of([letter]))
    font = findfont("STIXGeneral")
    for fonts in ("STIXGeneral", font, [font], ["DejaVu Sans", "STIXGeneral"]):
        figures = []

        def draw(figures=figures):
            figures.append(pairs_of([letter, "海"])())
            return figures[0]

        content = plots.render_png(draw, fonts=fonts)
        assert [ax.get_xlabel() for ax in figures[0].axes] == [letter, r"\u6d77"]
        assert content != own
    assert pairs_of([letter])().axes[0].get_xlabel() == r"x\u20dd", "only in that figure"
    mpl.pyplot.close("all")
    with mpl.rc_context({"font.family": ["DejaVu Sans", "STIXGeneral"]}):
        figure = plots.plot_image_pairs([(IMAGE, None)], labels=[letter], figure=Figure())
        assert figure.axes[0].get_xlabel() == letter, "the user's own style counts too"


def test_fonts_that_are_none(tmp_path):
    (tmp_path / "font.ttf").write_bytes(b"nothing")
    for font in ("No Such Font", tmp_path / "font.ttf", tmp_path / "missing.ttf"):
        with pytest.raises(pdna.ArgumentError, match=r"fonts: got .*, needs an installed font"):
            plots.render_png(pairs_of(["a"]), fonts=font)


def test_letters_without_a_glyph_are_told_apart():
    first, second = (plots.render_png(pairs_of([name])) for name in NAMES[:2])
    assert first != second


def test_long_titles_are_broken_between_words():
    title = " ".join(["word$"] * 60)
    content = plots.render_png(lambda: plots.plot_image_pairs([(IMAGE, IMAGE)], title=title))
    with Image.open(io.BytesIO(content)) as image:
        assert image.width < 2000
    figure = plots.plot_image_pairs([(IMAGE, IMAGE)], title=title, figure=Figure())
    assert figure.get_suptitle().count("\n") > 1
    assert figure.get_suptitle().replace("\n", " ") == title
