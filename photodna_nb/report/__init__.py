"""What a run found, as one page that can be attached to a paper.

    pdna.report.write(pdna.evaluation.run("evaluation.toml", "run"))

Needs Matplotlib and Jinja2, which ``pip install "photodna_nb[report]"`` brings.
"""

from __future__ import annotations

import os

from photodna_nb.evaluation import Results
from photodna_nb.evaluation.results import REPORT, add_report
from photodna_nb.files import PathLike
from photodna_nb.report.figures import figures
from photodna_nb.report.html import page
from photodna_nb.report.recommendation import Recommendation, recommend

__all__ = ["Recommendation", "recommend", "write"]


def write(results: Results | PathLike) -> str:
    """Write the report of a run into its folder, and return where the page is.

    Parameters
    ----------
    results : Results, str or os.PathLike
        Of a run, or its folder.

    Returns
    -------
    str
        Path of ``report.html``: one file, with its figures and pictures inside. The figures
        are in ``figures/`` as well.

    Raises
    ------
    FileError
        The folder holds no results, or others by now, or cannot be written.

    Notes
    -----
    The same results give the same bytes. Everything in the page is of the results, so that
    nothing is counted, hashed or read from the originals again.
    """
    if not isinstance(results, Results):
        results = Results.load(results)
    drawn = figures(results)
    content = {name: one.content for name, one in drawn.items()}
    content[REPORT] = page(results, drawn).encode("utf-8", "backslashreplace")
    add_report(results, content)
    return os.path.join(results.run_dir, REPORT)
