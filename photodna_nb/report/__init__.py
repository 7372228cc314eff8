"""Pages in HTML, of a run and of groups of pictures for review, and tables for a paper.

    pdna.report.write(pdna.evaluation.run("evaluation.toml", "run"))
    pdna.report.write_paper("run", "paper")
    pdna.report.write_review(pdna.duplicates(pdna.hash_directory("photos")), "review.html")

It needs Matplotlib, SciPy and Jinja2, which ``pip install "photodna_nb[report]"`` installs.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from photodna_nb.errors import optional_package

with optional_package(__name__, "Jinja2", "report"):
    import jinja2  # noqa: F401

from photodna_nb.evaluation import Results
from photodna_nb.evaluation.results import add_report, loaded
from photodna_nb.evaluation.run_files import REPORT, check_writable
from photodna_nb.files import PathLike
from photodna_nb.plots.layout import Font
from photodna_nb.report.figures import figure_files, figures
from photodna_nb.report.hashers import hasher_lines
from photodna_nb.report.html import page
from photodna_nb.report.paper import write_paper
from photodna_nb.report.recommendation import Recommendation, recommend
from photodna_nb.report.review import write_review

__all__ = ["Recommendation", "hasher_lines", "recommend", "write", "write_paper", "write_review"]


def write(results: Results | PathLike, *, fonts: Font | Sequence[Font] = ()) -> str:
    """Write the report of a run into its folder, and return the path of the page.

    Parameters
    ----------
    results : Results, str or os.PathLike
        Results of a run, or its folder.
    fonts : str, os.PathLike, or sequence of them
        Fonts for letters of names in the figures, as in `plots.render_png`.

    Returns
    -------
    str
        Path of ``report.html``: one file that holds its figures and thumbnails. The figures are
        also in the folder ``figures``.

    Raises
    ------
    FileError
        The folder holds no results, or those of another run, or cannot be written.
    ArgumentError
        A font is not installed, or a file is no font.

    Notes
    -----
    The same results and fonts give the same bytes. The page is made from the results alone: no
    pair is counted, no image hashed, and no original read again.
    """
    results = loaded("results", results)
    check_writable(results.run_dir)
    drawn = figures(results, fonts)
    content = figure_files(drawn)
    content[REPORT] = page(results, drawn).encode("utf-8", "backslashreplace")
    add_report(results, content)
    return os.path.join(results.run_dir, REPORT)
