"""The notebooks: what a reader finds in them as they are committed, and what other images do.

With their own parameters CI executes them by ``pytest --nbmake notebooks``. Each check of what is
committed returns complaints, and each has a notebook below that it complains about. At the end
notebooks are executed with other parameters, on other images, and with the slider moved.
"""

import ast
import importlib.util
import re
import shutil
import sys
import tempfile
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from conftest import JIT_OFF, ROOT, SHARED_GOLDEN
from PIL import Image

import photodna_nb as pdna

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")

FOLDER = Path(__file__).resolve().parent.parent / "notebooks"
NAMES = [
    "01_what_the_hash_sees",
    "02_distances_and_transforms",
    "03_search_with_faiss",
    "04_threshold_tuning",
    "05_evaluation_run",
    "06_which_hash",
]
FIGURES = {"image/png", "image/jpeg", "image/svg+xml"}
ASSERTS = 8  # of a notebook, at least
PUBLIC = {*pdna.__all__, "__version__", "evaluation", "plots", "report", "widgets"}
MACHINE = re.compile(r"(?<![\w.])/(home|Users|root|tmp|opt|work|private|usr|var)/|\b[A-Za-z]:\\")
VERSION = re.compile(r"\S+ \d\S*")


def of_refresh(name):
    """Return what notebooks/refresh.py, which is no module of a package, calls by a name."""
    spec = importlib.util.spec_from_file_location("refresh", FOLDER / "refresh.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return getattr(module, name)


LARGEST = of_refresh("LARGEST")


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def drawn(cell):
    """Return the figures in a cell's outputs."""
    return [o for o in cell.outputs if FIGURES & {*o.get("data", {})}]


def asserts(cell):
    return sum(isinstance(node, ast.Assert) for node in ast.walk(ast.parse(cell.source)))


def said(notebook):
    """Return all text that the cells have written."""
    found = []
    for cell in code_cells(notebook):
        for output in cell.outputs:
            found.append(output.get("text", ""))
            data = output.get("data", {})
            found += [str(data[kind]) for kind in data if not kind.startswith("image/")]
    return "\n".join(found)


# The checks.


def wrong_files(folder):
    found = sorted(path.stem for path in folder.rglob("*.ipynb") if path.parent.name[0] != ".")
    return [] if found == NAMES else [f"there are {found}"]


def wrong_size(path):
    size = path.stat().st_size
    return [f"{size} bytes"] if size > LARGEST else []


def wrong_format(notebook):
    try:
        nbformat.validate(notebook)
    except nbformat.ValidationError as error:
        return [str(error)]
    return []


def wrong_beginning(notebook):
    first = notebook.cells[0]
    title = first.source.partition("\n")[0]
    asked = first.cell_type == "markdown" and title.startswith("# ") and title.endswith("?")
    return [] if asked else ["the first cell has no question as its title"]


def wrong_parameters(notebook):
    tagged = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", ())]
    if len(tagged) != 1 or tagged[0].cell_type != "code":
        return [f"{len(tagged)} cells have the tag parameters, or it is no code"]
    assigned = [
        target.id
        for node in ast.parse(tagged[0].source).body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    ]
    return [] if "IMAGES" in assigned else ["the parameters lack IMAGES"]


def wrong_outputs(notebook):
    complaints = [
        f"an error or warning is left below: {cell.source[:60]}"
        for cell in code_cells(notebook)
        for output in cell.outputs
        if output.output_type == "error" or output.get("name") == "stderr"
    ]
    if not any(drawn(cell) for cell in code_cells(notebook)):
        complaints.append("there is no figure")
    return complaints


def wrong_order(notebook):
    counts = [cell.execution_count for cell in code_cells(notebook)]
    return [] if counts == list(range(1, len(counts) + 1)) else [f"executed as {counts}"]


def wrong_claims(notebook):
    """Return cells that show something, and claim nothing; the last one has the versions."""
    cells = code_cells(notebook)
    complaints = [
        f"shows something and asserts nothing: {cell.source[:60]}"
        for cell in cells[:-1]
        if cell.outputs and not asserts(cell)
    ]
    number = sum(map(asserts, cells))
    if number < ASSERTS:
        complaints.append(f"{number} asserts, needs {ASSERTS}")
    return complaints


def wrong_captions(notebook):
    """Return cells with a figure that have no caption right after them, numbered in order."""
    complaints = []
    number = 0
    for cell, after in pairwise([*notebook.cells, None]):
        if cell.cell_type != "code" or not drawn(cell):
            continue
        number += 1
        caption = after.source if after is not None and after.cell_type == "markdown" else ""
        if not caption.startswith(f"**Figure {number}.** ") or "*Conclude:*" not in caption:
            complaints.append(f"figure {number} without its caption: {cell.source[:60]}")
    return complaints


def wrong_names(notebook):
    """Return what is used of the package that is not public."""
    used = []
    for cell in code_cells(notebook):
        for node in ast.walk(ast.parse(cell.source)):
            if isinstance(node, ast.Import):
                used += [alias.name.split(".")[1:] for alias in node.names if _ours(alias.name)]
            elif isinstance(node, ast.ImportFrom) and _ours(node.module or ""):
                start = node.module.split(".")[1:]
                used += [[*start, alias.name] for alias in node.names]
            elif isinstance(node, ast.Attribute):
                whose = isinstance(node.value, ast.Name) and node.value.id
                used.append([node.attr] if whose in ("pdna", "photodna_nb") else ["", node.attr])
    return [
        ".".join(parts)
        for parts in used
        if (parts and parts[0] and parts[0] not in PUBLIC)
        or any(part.startswith("_") and not part.startswith("__") for part in parts)
    ]


def _ours(module):
    return module.split(".")[0] == "photodna_nb"


def wrong_end(notebook):
    last = notebook.cells[-1]
    if last.cell_type != "code" or "importlib.metadata" not in last.source:
        return ["the versions are not at the end"]
    lines = "".join(output.get("text", "") for output in last.outputs).splitlines()
    complaints = [f"no version: {line}" for line in lines if not VERSION.fullmatch(line)]
    if f"photodna_nb {pdna.__version__}" not in lines:
        complaints.append("the version of the package is missing, or an old one")
    return complaints


def wrong_traces(notebook):
    """Return what says on which machine the notebook was executed, or when."""
    text = said(notebook)
    here = {str(FOLDER.parent), str(Path.home()), tempfile.gettempdir(), sys.prefix} - {"/"}
    complaints = [f"a path is left: {match[0]}" for match in MACHINE.finditer(text)]
    complaints += [f"a path is left: {path}" for path in here if path in text]
    complaints += [
        f"metadata: {key}" for key in {*notebook.metadata} - {"kernelspec", "language_info"}
    ]
    for cell in notebook.cells:
        complaints += [f"metadata of a cell: {key}" for key in {*cell.metadata} - {"tags"}]
    return complaints


CHECKS = [
    wrong_format,
    wrong_beginning,
    wrong_parameters,
    wrong_outputs,
    wrong_order,
    wrong_claims,
    wrong_captions,
    wrong_names,
    wrong_end,
    wrong_traces,
]


# What is there.


def test_six_notebooks():
    assert wrong_files(FOLDER) == []


@pytest.mark.parametrize("name", NAMES)
def test_size(name):
    assert wrong_size(FOLDER / f"{name}.ipynb") == []


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", NAMES)
def test_notebook(name, check):
    notebook = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)
    assert check(notebook) == []


@pytest.mark.parametrize("name", NAMES)
def test_links_lead_to_notebooks_or_files(name):
    notebook = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    links = re.findall(r"\]\(([^)\s]+)\)", text)
    missing = [
        to for to in links if "://" not in to and not (FOLDER / to.partition("#")[0]).exists()
    ]
    assert missing == []


# The checks complain.


def sound():
    """Return a small notebook that no check complains about."""
    v4 = nbformat.v4
    text = v4.new_output("stream", name="stdout", text="0.5\n")
    figure = v4.new_output("display_data", {"image/png": "iVBORw0KGgo=\n", "text/plain": "a"})
    versions = v4.new_output("stream", name="stdout", text=f"photodna_nb {pdna.__version__}\n")
    cells = [
        v4.new_markdown_cell("# Does it work?\n\nLet us see."),
        v4.new_code_cell('IMAGES = "../data/pictures"', metadata={"tags": ["parameters"]}),
        v4.new_code_cell("import photodna_nb as pdna\nfrom photodna_nb import plots"),
        v4.new_code_cell(
            "pdna.plots.render_png\n" + "assert True\n" * ASSERTS, outputs=[text, figure]
        ),
        v4.new_markdown_cell("**Figure 1.** Nothing. *Conclude:* nothing."),
        v4.new_code_cell("from importlib.metadata import version", outputs=[versions]),
    ]
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    notebook = v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})
    for count, cell in enumerate(code_cells(notebook), start=1):
        cell.execution_count = count
    return notebook


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_a_sound_notebook_passes(check):
    assert check(sound()) == []


def _source(place, source):
    def doctor(notebook):
        notebook.cells[place].source = source

    return doctor


def _set(place, key, value):
    def doctor(notebook):
        notebook.cells[place][key] = value

    return doctor


def _print(text, name="stdout"):
    def doctor(notebook):
        output = nbformat.v4.new_output("stream", name=name, text=text)
        notebook.cells[3].outputs.append(output)

    return doctor


def _fail(notebook):
    notebook.cells[3].outputs.append(nbformat.v4.new_output("error", ename="E", evalue="e"))


def _tag_again(notebook):
    notebook.cells[2].metadata["tags"] = ["parameters"]


def _time(notebook):
    notebook.cells[2].metadata["execution"] = {"iopub.execute_input": "2026-01-01"}


def _widgets(notebook):
    notebook.metadata["widgets"] = {}


def _jpeg(notebook):
    output = nbformat.v4.new_output("display_data", {"image/jpeg": "/9j/4AAQ\n"})
    notebook.cells[2].outputs.append(output)


def _caption_later(notebook):
    notebook.cells.insert(4, nbformat.v4.new_markdown_cell("## What comes next"))


def _versions_first(notebook):
    notebook.cells.insert(2, notebook.cells.pop())


def _old_version(notebook):
    notebook.cells[-1].outputs[0].text = "photodna_nb 0.0.0\n"


@pytest.mark.parametrize(
    ("check", "doctor"),
    [
        (wrong_format, _set(0, "cell_type", "poem")),
        (wrong_beginning, _source(0, "# It works.")),
        (wrong_beginning, _set(0, "cell_type", "raw")),
        (wrong_parameters, _set(1, "metadata", {})),
        (wrong_parameters, _tag_again),
        (wrong_parameters, _source(1, 'FOLDER = "../data/pictures"')),
        (wrong_outputs, _set(3, "outputs", [])),
        (wrong_outputs, _fail),
        (wrong_outputs, _print("a warning", name="stderr")),
        (wrong_order, _set(2, "execution_count", None)),
        (wrong_order, _set(2, "execution_count", 7)),
        (wrong_claims, _source(3, "1")),
        (wrong_claims, _source(3, "assert True")),
        (wrong_captions, _set(4, "cell_type", "raw")),
        (wrong_captions, _source(4, "## What comes next")),
        (wrong_captions, _source(4, "**Figure 2.** Nothing. *Conclude:* nothing.")),
        (wrong_captions, _source(4, "**Figure 1.** Nothing.")),
        (wrong_captions, _caption_later),
        (wrong_captions, _jpeg),
        (wrong_names, _source(2, "from photodna_nb.kernels import hashing")),
        (wrong_names, _source(2, "import photodna_nb.images")),
        (wrong_names, _source(2, "from photodna_nb import kernels")),
        (wrong_names, _source(2, "from photodna_nb.index import _secret")),
        (wrong_names, _source(2, "pdna.images.to_rgb")),
        (wrong_names, _source(2, "index._store")),
        (wrong_end, _versions_first),
        (wrong_end, _old_version),
        (wrong_traces, _print("read /home/somebody/a.jpg")),
        (wrong_traces, _print(f"in {FOLDER.parent}")),
        (wrong_traces, _print("C:\\Users\\somebody")),
        (wrong_traces, _time),
        (wrong_traces, _widgets),
    ],
)
def test_a_doctored_notebook_is_noticed(check, doctor):
    notebook = sound()
    doctor(notebook)
    assert check(notebook) != []


def test_wrong_files_are_noticed(tmp_path):
    for name in NAMES:
        (tmp_path / f"{name}.ipynb").touch()
    assert wrong_files(tmp_path) == []
    (tmp_path / "07_more.ipynb").touch()
    assert wrong_files(tmp_path) != []
    (tmp_path / "07_more.ipynb").unlink()
    (tmp_path / f"{NAMES[2]}.ipynb").unlink()
    assert wrong_files(tmp_path) != []


def test_a_large_file_is_noticed(tmp_path):
    path = tmp_path / "large.ipynb"
    path.write_bytes(b" " * (LARGEST + 1))
    assert wrong_size(path) != []
    path.write_bytes(b" " * LARGEST)
    assert wrong_size(path) == []


def test_the_default_deployment_of_04_gets_a_recommendation_and_a_larger_one_none():
    text = said(nbformat.read(FOLDER / "04_threshold_tuning.ipynb", as_version=4))
    small, large = re.findall(r"per day:\n(.*)", text)
    assert re.fullmatch(r"recommended: L2 \d+", small)
    assert re.fullmatch(r"no threshold is recommended; supported: L2 \d+", large)
    assert f"chosen: {small.removeprefix('recommended: ')}\n" in text


# Other parameters, other images.

runs = [
    pytest.mark.skipif(JIT_OFF, reason="the same with or without JIT, but slowly"),
    pytest.mark.skipif(not find_spec("ipykernel"), reason="needs ipykernel"),
]
CHOICE = "again = pdna.evaluation.run("  # in the cell of notebook 04 that saves the threshold
THREE = ("harbour.jpg", "pebbles.jpg", "street.jpg")


def execute(name, before=None, **parameters):
    """Run a notebook with other parameters, and a cell before another one; return what is said."""
    notebook = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)
    for cell in code_cells(notebook):
        cell.update(outputs=[], execution_count=None)
    [tagged] = [c for c in notebook.cells if "parameters" in c.metadata.get("tags", ())]
    known = {node.id for node in ast.walk(ast.parse(tagged.source)) if isinstance(node, ast.Name)}
    assert {*parameters} <= known
    lines = "\n".join(f"{key} = {value!r}" for key, value in parameters.items())
    place = notebook.cells.index(tagged) + 1
    notebook.cells.insert(place, nbformat.v4.new_code_cell(lines))
    for part, source in (before or {}).items():
        [place] = [k for k, c in enumerate(notebook.cells) if part in c.source]
        notebook.cells.insert(place, nbformat.v4.new_code_cell(source))
    nbclient.NotebookClient(
        notebook,
        kernel_name="python3",
        timeout=300,
        extra_arguments=["--log-level=ERROR"],
        resources={"metadata": {"path": str(FOLDER)}},
    ).execute()
    assert wrong_outputs(notebook) == []
    return said(notebook)


def complaint(name, **parameters):
    """Run a notebook that stops; return why."""
    with pytest.raises(nbclient.exceptions.CellExecutionError) as stopped:
        execute(name, **parameters)
    assert stopped.value.ename == "SystemExit"
    return stopped.value.evalue


def images(folder, names=THREE):
    folder.mkdir()
    for name in names:
        shutil.copy(ROOT / "data" / "pictures" / name, folder)
    return folder


@pytest.mark.notebook
class TestOtherImages:
    pytestmark = runs

    @pytest.mark.parametrize("name", NAMES[3:])
    def test_three(self, tmp_path, name):
        text = execute(name, IMAGES=str(images(tmp_path / "three")))
        assert "There are only 3 originals" in text or name != NAMES[3]
        # Whatever has no threshold has a reason, and no table is empty.
        assert re.search(r"No (target has a threshold|threshold for .*): \w+", text) or (
            name != NAMES[4]
        )

    def test_photographs(self):
        folder = SHARED_GOLDEN / "neardup" / "images"
        if not folder.is_dir():
            pytest.skip("../shared is not there")
        with tempfile.TemporaryDirectory() as chosen:
            for path in sorted(folder.rglob("*.*"))[:60]:
                shutil.copy(path, chosen)
            text = execute(NAMES[3], IMAGES=chosen)
        assert "60 originals" in text

    def test_files_that_are_broken_flat_or_duplicates(self, tmp_path):
        folder = images(tmp_path / "mixed", (*THREE, "harbour_recompressed.jpg"))
        shutil.copy(folder / "street.jpg", folder / "street again.jpg")
        (folder / "text.jpg").write_text("no image")
        (folder / "cut.jpg").write_bytes((folder / "street.jpg").read_bytes()[:999])
        Image.new("L", (1, 1)).save(folder / "pixel.png")
        noise = np.random.default_rng(0).integers(0, 2, (2, 200, 200), np.uint8)
        for k in range(2):
            Image.fromarray(100 + noise[k]).save(folder / f"flat {k}.png")
        Image.fromarray(100 + noise[0]).save(folder / "flat 0 again.bmp")

        text = execute(NAMES[3], IMAGES=str(folder), TRANSFORMS=["jpeg:50", "crop:5", "mirror"])
        assert "8 originals" in text
        assert "not used: text.jpg (the original): " in text
        assert "not used: cut.jpg (the original): " in text
        assert "not used: pixel.png (the original): " in text
        assert "VariantFailure(" not in text
        # Pairs of two identical files and their variants; duplicates that are not identical files.
        assert "7 pairs of identical files" in text
        assert "\nDUPLICATES = [\n    ['harbour.jpg', 'harbour_recompressed.jpg'],\n]" in text
        assert "3 originals have a detail of less than 100" in text

    @pytest.mark.parametrize("name", NAMES[3:])
    def test_a_variant_that_cannot_be_made(self, tmp_path, name):
        folder = images(tmp_path / "long")
        Image.linear_gradient("L").resize((17_000, 200)).save(
            folder / "long.png"
        )  # too long for WebP
        text = execute(name, IMAGES=str(folder), TRANSFORMS=["webp:50", "mirror"])
        assert "not used: long.png (webp:50): " in text

    def test_no_variant_can_be_made(self, tmp_path):
        (folder := tmp_path / "long").mkdir()
        for k in range(2):
            Image.linear_gradient("L").resize((17_000, 200 + k)).save(folder / f"{k}.png")
        message = complaint(NAMES[3], IMAGES=str(folder), TRANSFORMS=["webp:50"])
        assert message.startswith("TRANSFORMS: ")

    @pytest.mark.parametrize("name", NAMES[:3])
    def test_numbers_and_folders_that_are_none(self, tmp_path, name):
        assert complaint(name, IMAGE_NUMBER=25).startswith("IMAGE_NUMBER: got 25, needs 0 to 18: ")
        (tmp_path / "text.jpg").write_text("no image")
        found = complaint(name, IMAGES=str(tmp_path))
        assert found.startswith("IMAGES: ")
        assert "Write the path of a folder" in found


FEW = {"NUMBER": 60, "TRANSFORMS": ["jpeg:30", "crop:5", "rotate:1", "mirror"]}


@pytest.mark.notebook
class TestMovedSlider:
    """Of notebook 04, as a person does before the threshold is written down."""

    pytestmark = runs

    @pytest.mark.parametrize("orientations", [False, True])
    @pytest.mark.parametrize("threshold", [0, 137])
    def test_to_a_threshold(self, threshold, orientations):
        service = {"list_size": 100, "queries_per_day": 10, "orientations": orientations}
        moved = {CHOICE: f"tuner.threshold = {threshold}"}
        text = execute(NAMES[3], before=moved, DEPLOYMENT=service, **FEW)
        assert f"chosen: L2 {threshold}\n" in text
        assert ("the recall of mirror is 0.0%" in text) != orientations

    def test_to_a_guess_which_is_not_saved(self):
        moved = {
            CHOICE: "tuner.controls.conservative.value = False\n"
            "tuner.controls.list_size.value = 1e9\n"
            "assert tuner.choice.beyond_validation\n"
            "print('guess:', tuner.threshold, supported, recommended)"
        }
        text = execute(NAMES[3], before=moved, NUMBER=400, TRANSFORMS=["jpeg:30", "crop:5"])
        guess, supported, recommended = re.search(r"guess: (\d+) (\w+) (\w+)", text).groups()
        kept = supported if recommended == "None" else recommended
        assert guess != kept
        assert f"chosen: L2 {kept}\n" in text

    def test_in_a_folder_that_is_kept(self, tmp_path):
        for _ in range(2):
            text = execute(NAMES[3], RUN=str(tmp_path / "run"), **FEW)
        named = pdna.evaluation.Results.load(tmp_path / "run").config.thresholds.named
        assert f"chosen: L2 {dict(named)['chosen']}\n" in text


@pytest.mark.notebook
@pytest.mark.parametrize("name", NAMES[3:])
def test_nothing_is_left_in_the_folder_for_temporary_files(tmp_path, monkeypatch, name):
    if JIT_OFF or not find_spec("ipykernel"):
        pytest.skip("needs a kernel, and JIT")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    execute(name, NUMBER=20, TRANSFORMS=["jpeg:30", "noise:25"])
    assert [path.name for path in tmp_path.glob("tmp*")] == []
