"""Execute the notebooks in place, without traces of the machine and the time.

python notebooks/refresh.py                          # all notebooks
python notebooks/refresh.py 01_what_the_hash_sees    # some, by name or path

A second run changes no byte. A notebook of more than 500 kB is refused, and stays as it was.
"""

import argparse
import base64
import functools
import io
import sys
import time
from pathlib import Path

import matplotlib.font_manager  # noqa: F401 - looks for fonts, and says so, the first time
import nbformat
from nbclient import NotebookClient
from PIL import Image, ImageChops

FOLDER = Path(__file__).resolve().parent
LARGEST = 500_000  # bytes of a notebook
LARGEST_DIFFERENCE = 24  # of a colour in a figure, of 255
PNG = "image/png"
# The only metadata that is kept, beside the tags of cells.
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
WIDGET = "application/vnd.jupyter.widget-view+json"


def main(arguments):
    """Refresh the notebooks that are named, or all; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("notebooks", nargs="*", help="names; all if left out")
    names = parser.parse_args(arguments).notebooks
    paths = [FOLDER / f"{Path(name).stem}.ipynb" for name in names] or sorted(
        FOLDER.glob("*.ipynb")
    )
    missing = [path.name for path in paths if not path.is_file()]
    if missing:
        parser.error(f"there is no {', '.join(missing)} in {FOLDER}")
    refused = 0
    for path in paths:
        begun = time.perf_counter()
        notebook = nbformat.read(path, as_version=4)
        execute(notebook)
        normalise(notebook)
        content = nbformat.writes(notebook) + "\n"
        size = len(content.encode("utf-8"))
        summary = f"{path.name}: {size / 1000:.0f} kB, {time.perf_counter() - begun:.0f} s"
        if size > LARGEST:
            print(f"{summary}; refused, needs {LARGEST / 1000:.0f} kB at most", file=sys.stderr)
            refused += 1
        else:
            path.write_text(content, encoding="utf-8", newline="\n")
            print(summary)
    return 1 if refused else 0


def execute(notebook):
    """Run all cells in a new kernel, in the folder of the notebooks."""
    NotebookClient(
        notebook,
        kernel_name="python3",
        timeout=600,
        record_timing=False,
        store_widget_state=False,
        coalesce_streams=True,
        extra_arguments=["--log-level=ERROR"],
        resources={"metadata": {"path": str(FOLDER)}},
    ).execute()


def normalise(notebook):
    """Keep sources, tags, outputs and identifiers alone, and make the figures small."""
    notebook.metadata = nbformat.from_dict(METADATA)
    for cell in notebook.cells:
        tags = cell.metadata.get("tags")
        cell.metadata = nbformat.from_dict({"tags": tags} if tags else {})
        for output in cell.get("outputs", ()):
            data = output.get("data", {})
            data.pop(WIDGET, None)  # an identifier of a session that is gone
            if PNG in data:
                data[PNG] = smaller(data[PNG])


def smaller(encoded):
    """Return a figure, base64, with 256 colours of its own, if the difference is not visible."""
    content = base64.b64decode(encoded)
    with Image.open(io.BytesIO(content)) as figure:
        drawn = Image.new("RGBA", figure.size, "white")
        drawn.alpha_composite(figure.convert("RGBA"))
    drawn = drawn.convert("RGB")
    # This method keeps rare colours, such as that of a thin line.
    reduced = drawn.quantize(256, Image.Quantize.MAXCOVERAGE, kmeans=4, dither=Image.Dither.NONE)
    channels = ImageChops.difference(drawn, reduced.convert("RGB")).split()
    difference = functools.reduce(ImageChops.lighter, channels)
    if difference.getextrema()[1] > LARGEST_DIFFERENCE:
        return encoded
    # Smooth areas are dithered, so that they get no edges; areas of one colour are unchanged.
    dithered = drawn.quantize(palette=reduced, dither=Image.Dither.FLOYDSTEINBERG)
    reduced.paste(dithered, mask=difference.point(lambda levels: 255 * (levels > 2), mode="1"))
    written = io.BytesIO()
    reduced.save(written, "PNG", optimize=True)
    return base64.b64encode(min(content, written.getvalue(), key=len)).decode("ascii") + "\n"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
