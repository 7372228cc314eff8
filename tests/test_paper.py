"""Tables, methods and references for a paper: numbers of the run, and no text that is a command."""

import csv
import io
import re
import shutil
import subprocess

import brute_force as brute
import pytest
from conftest import JIT_OFF
from evaluations import config_of, photo_config

import photodna_nb as pdna
from photodna_nb import cli
from photodna_nb.evaluation import run
from photodna_nb.printable import printable
from photodna_nb.report import latex

pytestmark = pytest.mark.skipif(JIT_OFF, reason="the same with or without JIT, but slowly")

HOSTILE = "50% & _$^~\\{}#<>|\"'`[x]*-- \\input{/etc/passwd} \u4e2d\u202e\n\\end{tabular}=1"
COMMANDS = {
    **{rf"\{character}": character for character in "{}$&#%_"},
    **{r"\textbackslash": "\\", r"\textasciitilde": "~", r"\textasciicircum": "^"},
    **{r"\textless": "<", r"\textgreater": ">", r"\textbar": "|", r"\textquotedbl": '"'},
    **{r"\textasciigrave": "`", r"\textquotesingle": "'", r"\,": " "},
}
TOKEN = re.compile(r"--|\\[A-Za-z]+|\\.|\$[^$]*\$|.", re.DOTALL)


def read_text(tex):
    """The text that LaTeX shows, by a parser that refuses all but a few commands."""
    shown, depth = [], 0
    tokens = TOKEN.findall(tex)
    for token in tokens:
        if token in "{}":
            depth += 1 if token == "{" else -1
            assert depth >= 0
        elif token.startswith("$"):
            power = re.fullmatch(r"\$\\times( 10\^\{(-?\d+)\})?\$|\$(-)\$", token)
            assert power, token
            shown.append(f"× 10^{power[2]}" if power[2] else "−" if power[3] else "×")
        elif token.startswith("\\"):
            shown.append(COMMANDS[token])
        else:
            assert token not in "&%#_^~$"
            shown.append("–" if token == "--" else token)
    assert depth == 0
    return "".join(shown)


def read_table(tex):
    """The rows of a table of booktabs."""
    body = re.fullmatch(
        r"\\begin\{table\}\n\\centering\\footnotesize\n\\caption\{(.*)\}\n\\label\{tab:\w+\}\n"
        r"\\begin\{tabular\}\{([lr]+)\}\n\\toprule\n(.*)\n\\bottomrule\n"
        r"\\end\{tabular\}\n\\end\{table\}\n",
        tex,
        re.DOTALL,
    )
    assert body
    assert read_text(body[1])
    lines = [line for line in body[3].split("\n") if line != r"\midrule"]
    assert all(line.endswith(r" \\") for line in lines)
    rows = [[read_text(cell) for cell in re.split(r"(?<!\\)&", line[:-3])] for line in lines]
    assert {len(row) for row in rows} == {len(body[2])}
    return [[cell.strip() for cell in row] for row in rows]


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    config = config_of(
        originals={"kind": "dead_leaves", "number": 120, "size": [64, 48], "seed": 3},
        variants={"transforms": ["jpeg:30", "mirror", "resize:50+jpeg:30"]},
        thresholds={"named": {"low": 150, HOSTILE: 640}, "targets": [0.1, 0.02]},
        seed=11,
    )
    return run(config, tmp_path_factory.mktemp("paper") / "run")


def test_texts_are_shown_and_not_obeyed():
    for text in (HOSTILE, "a--b---c", "- -", "\\\\[2cm]", "%\\&", "x\udcffy\x1b[31m", "Ω≤é"):
        shown = printable(text)
        for letter in "\u4e2dΩ≤":  # pdfLaTeX has none of them
            shown = shown.replace(letter, f"<U+{ord(letter):04X}>")
        assert read_text(latex.text(text)) == shown
        assert "\n" not in latex.text(text)
    assert latex.text("2.4 × 10⁻⁹") == r"2.4 $\times 10^{-9}$"
    assert latex.text("12.5 %") == r"12.5\,\%"
    assert latex.text("rotate 1°") == r"rotate 1\textdegree{}"


def test_tables(results, tmp_path):
    paths = pdna.report.write_paper(results, tmp_path / "new" / "paper")
    names = {path.rsplit("/", 1)[1] for path in paths}
    tables = {"thresholds", "operating_points", "transforms"}
    assert names == {
        *(f"{name}{suffix}" for name in tables for suffix in (".tex", ".csv")),
        *("methods.tex", "methods.txt", "references.bib", "paper.tex"),
    }
    folder = tmp_path / "new" / "paper"
    before = {name: (folder / name).read_bytes() for name in names}
    pdna.report.write_paper(results.run_dir, folder)
    assert before == {name: (folder / name).read_bytes() for name in names}, "read again"
    thresholds = read_table(before["thresholds.tex"].decode())
    assert thresholds[1][0] == "low"
    assert "\\input{/etc/passwd}" in thresholds[2][0]
    assert [row[1] for row in thresholds[1:]] == ["150", "640"]
    transforms = read_table(before["transforms.tex"].decode())
    assert [row[0] for row in transforms[1:]] == ["jpeg 30", "mirror", "resize 50 % + jpeg 30"]
    rows = list(csv.DictReader(io.StringIO(before["transforms.csv"].decode(), newline="")))
    for row, line, shown in zip(results.tables["transforms"], rows, transforms[1:], strict=True):
        assert float(line["median_distance"]) == row["median_distance"]
        assert shown[1:3] == [str(row["genuine_pairs"]), f"{row['median_distance']:.0f}"]
        recall = next(
            one
            for one in results.tables["recall"]
            if (one["transform"], one["threshold"], one["detail_bin"], one["oriented"])
            == (row["transform"], 150, None, False)
        )
        assert float(line["recall_at_low"]) == recall["recall"]
        assert shown[5].startswith(f"{100 * recall['recall']:.0f}" if recall["recall"] == 1 else "")
    points = [row for row in results.tables["operating_points"] if row["threshold"] is not None]
    operating = read_table(before["operating_points.tex"].decode())
    assert [row[2] for row in operating[1:]] == [str(row["threshold"]) for row in points]
    document = before["paper.tex"].decode()
    assert all(rf"\input{{{name}}}" in document for name in (*tables, "methods"))


def test_methods_and_references(results, tmp_path):
    """Each number of the paragraph is one of the run, and each citation has an entry."""
    pdna.report.write_paper(results, tmp_path)
    text = (tmp_path / "methods.txt").read_text("utf-8")
    summary, versions = results.summary, results.manifest["versions"]
    for needed in (
        "120 generated images (dead leaves, 64 × 48, seed 3)",
        "3 transforms (jpeg 30, mirror, resize 50 % + jpeg 30), with the seed 11",
        f"{summary['variants']} variants",
        f"{summary['impostor_pairs']:,} impostor pairs",
        f"({summary['originals_in_selection_half']})",
        f"({summary['originals_in_validation_half']})",
        f"NumPy {versions['results']['NumPy']}",
        f"Pillow {versions['hashes']['Pillow']}",
        results.manifest["results"]["counts.npz"],
    ):
        assert needed in text
    known = {f"{value:,}" for value in summary.values() if isinstance(value, int)}
    known |= {"3", "11", "30", "50", "64", "48", "144", "95", "2", "1", "120"}
    known |= {f"{value:,}" for value in summary["tail"].values() if isinstance(value, int)}
    assert f"rejected ({summary['tail']['rejection_reason']})" in text
    for sentence in text.splitlines():
        if not any(word in sentence for word in ("SHA-256", "Python", "photodna_nb", "rejected")):
            plain = re.sub(r"\[[a-z0-9_,]+\]", "", sentence)
            numbers = re.findall(r"(?<![\w.])[\d,]*\d(?![\w.]*\d)", plain)
            assert set(numbers) - known == set(), sentence
    bib = (tmp_path / "references.bib").read_text("utf-8")
    entries = re.findall(r"@\w+\{(\w+),", bib)
    cited = {key for keys in re.findall(r"\[([a-z0-9_,]+)\]", text) for key in keys.split(",")}
    assert set(entries) == cited >= {"photodna_nb", "deryck2026", "lee2001", "clopper1934"}
    assert bib.count("{") == bib.count("}")
    assert f"version {versions['results']['photodna_nb']}}}," in bib
    tex = (tmp_path / "methods.tex").read_text("utf-8")
    citations = re.findall(r"~\\cite\{([a-z0-9_,]+)\}", tex)
    assert {key for keys in citations for key in keys.split(",")} == cited
    for line in re.sub(r"~\\cite\{[a-z0-9_,]+\}", "", tex).splitlines():
        assert read_text(line)


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="LaTeX is not installed")
@pytest.mark.long
def test_latex_compiles(results, tmp_path):
    pdna.report.write_paper(results, tmp_path)
    command = ["pdflatex", "-halt-on-error", "-interaction=nonstopmode", "paper"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout[-3000:]
    assert (tmp_path / "paper.pdf").exists()


def test_refusals(results, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(pdna.FileError, match="file: cannot be made"):
        pdna.report.write_paper(results, tmp_path / "file")
    with pytest.raises(pdna.ArgumentTypeError, match="results: got int, needs Results"):
        pdna.report.write_paper(3, tmp_path)


@pytest.mark.long
def test_labelled_pairs_and_categories(tmp_path, capfd):
    """Of labelled pairs the recall is that of all of them; a table has it by category."""
    lines = ["a,b,same,category"]
    for number in range(0, 12, 2):
        same, category = int(number < 6), "warm & cold" if number % 4 else "other"
        lines.append(f"dead_leaves/{number:06d},dead_leaves/{number + 1:06d},{same},{category}")
    (tmp_path / "pairs.csv").write_text("\n".join(lines))
    (tmp_path / "run.toml").write_text(
        '[originals]\nkind = "dead_leaves"\nnumber = 12\nsize = [64, 48]\n'
        '[pairs]\nlabelled = "pairs.csv"\n[thresholds]\nnamed = { all = 3060 }\n'
    )
    paper = tmp_path / "paper"
    command = ["--evaluate", tmp_path / "run.toml", tmp_path / "run", "--paper", paper]
    assert cli.main(list(map(str, command))) == 0
    assert f"Tables for a paper: {paper}" in capfd.readouterr().out
    rows = read_table((paper / "categories.tex").read_text("utf-8"))[1:]
    assert [(row[0], row[3], row[4].split()[0]) for row in rows] == [
        ("other", "2", "100"),
        ("warm & cold", "1", "100"),
    ]
    thresholds = read_table((paper / "thresholds.tex").read_text("utf-8"))
    assert thresholds[1][2].startswith("100 %")
    methods = (paper / "methods.txt").read_text("utf-8")
    assert "labelled by hand: 3 genuine pairs that show the same and 3 impostor pairs" in methods
    assert "transforms" not in methods.replace("over all transforms", "")


def test_several_hashers(tmp_path):
    """Each has its own tables and unit, and one table compares them at one false match rate."""
    config = config_of(
        originals={"kind": "dead_leaves", "number": 60, "size": [64, 48]},
        variants={"transforms": ["jpeg:30", "mirror"]},
        hash={"names": ["photodna", brute.BRIGHT], "thresholds": {brute.BRIGHT: {"near": 9}}},
        thresholds={"targets": [0.2, 0.05]},
    )
    results = run(config, tmp_path / "run")
    pdna.report.write_paper(results, tmp_path / "paper")
    files = {path.name: path.read_text("utf-8") for path in (tmp_path / "paper").iterdir()}
    assert read_table(files["thresholds.tex"])[0][1] == "Distance (L2)"
    own = read_table(files["thresholds_bright.tex"])
    assert own[0][1] == "Distance (Hamming)"
    assert own[1][:2] == ["near", "9"]
    assert [row[:3] for row in read_table(files["hashers.tex"])[1:]] == [
        ["photodna", "144", "L2"],
        ["bright", "8", "Hamming"],
    ]
    table = read_table(files["equal_rates.tex"])
    assert table[0] == ["Transform", "photodna", "bright", "bright - photodna"]
    rows = [row for row in results.tables["equal_rates"] if row["target"] == 0.05]
    for shown, spec in zip(table[1:], ("jpeg:30", "mirror"), strict=True):
        one, other = (row for row in rows if row["transform"] == spec)
        for cell, value in zip(shown[1:3], (one["recall"], other["recall"]), strict=True):
            assert float(cell.split()[0]) == pytest.approx(100 * value, abs=0.06)
        difference = float(shown[3].split()[0].replace("−", "-"))
        assert difference == pytest.approx(100 * other["recall_difference"], abs=0.06)
    assert len(files["equal_rates.csv"].splitlines()) == 1 + len(results.tables["equal_rates"])
    assert "(144 bytes, L2 distance) and bright (64 bits, Hamming distance)" in files["methods.txt"]
    assert r"\input{thresholds_bright}" in files["paper.tex"]


def test_copies_from_files_and_hashes_without_pictures(photos, tmp_path):
    """The sentences name what there is, and nothing else."""
    (tmp_path / "copies.csv").write_text(
        "original,variant,label\na.png,copy.png,shared & saved\nc.png,other.png,shared & saved\n"
    )
    for name, original in (("copy.png", "a.png"), ("other.png", "c.png")):
        shutil.copy(photos / original, tmp_path / name)
    variants = {"transforms": ["mirror"], "files": "copies.csv"}
    results = run(photo_config(photos, variants=variants), tmp_path / "run")
    pdna.report.write_paper(results, tmp_path / "paper")
    text = (tmp_path / "paper" / "methods.txt").read_text("utf-8")
    assert "in memory by 1 transform (mirror), with the seed 0" in text
    assert "which gave 6 variants." in text
    assert "2 altered copies came from files, labelled shared & saved." in text
    assert "1 original could not be hashed" in text
    pdna.HashTable.load(tmp_path / "run" / "hashes.npz").save(tmp_path / "t_1.csv")
    table = {"originals": {"kind": "table", "path": "t_1.csv"}, "variants": {"transforms": []}}
    results = run(photo_config(photos, **table), tmp_path / "hashes")
    pdna.report.write_paper(results, tmp_path / "paper2")
    text = (tmp_path / "paper2" / "methods.txt").read_text("utf-8")
    assert "on 6 hashes of the table t_1.csv." in text
    assert "We compared 15 impostor pairs: two different originals." in text
    assert not any(word in text for word in ("genuine", "transform", "recall"))
    assert read_table((tmp_path / "paper2" / "thresholds.tex").read_text("utf-8"))[1][2] == "–"
