"""The modes that evaluate, and compare two evaluations."""

from __future__ import annotations

import os
from importlib.util import find_spec
from typing import TYPE_CHECKING

from photodna_nb.cli.images import on_terminal
from photodna_nb.cli.output import json_text, print_error, print_lines, print_message
from photodna_nb.cli.startup import start_numba
from photodna_nb.cli.summary import Summary
from photodna_nb.errors import FileError, MissingPackageError
from photodna_nb.printable import printable

if TYPE_CHECKING:
    from photodna_nb.evaluation import Results


def evaluate(config_path: str, run_dir: str, *, jobs: int | None, paper: str | None) -> int:
    """Run an evaluation; print what failed, the numbers of pairs, and the recommendation."""
    if os.path.isdir(config_path):
        example = "photodna-nb --evaluate-example > evaluation.toml"
        raise FileError(config_path, f"is a folder, not a TOML file; to start from one: {example}")
    summary = Summary()
    _start()
    from photodna_nb.evaluation import run

    results = run(config_path, run_dir, max_workers=jobs, progress=on_terminal())
    status = 0
    for original, transform, error in results.failures:
        after = "" if transform is None else f" after {transform}"
        status = print_error(f"{printable(original)}{after}: {error}")
    counts = results.summary
    if not results.manifest["this_run"]["originals_available"]:
        print_message("the originals cannot be found; the hashes of the earlier run are used")
    if low := counts["originals_low_detail"]:
        print_message(
            f"warning: {low} of {counts['originals_hashed']} originals have less than "
            f"{results.config.detail.warn_below:g} grey levels of detail, and such images match "
            "whatever they show; scale 16-bit grey, integers and floating-point numbers to 8 bits "
            "first, since Pillow clips them"
        )
    print_lines(
        f"Originals: {counts['originals_hashed']} hashed, {counts['originals_failed']} failed"
        + (f", {left_out} left out" if (left_out := counts["originals_left_out"]) else ""),
        f"Variants: {counts['variants']} hashed, {counts['variants_failed']} failed",
        f"Pairs: {counts['genuine_pairs']} genuine, {counts['impostor_pairs']} impostor",
        f"Results: {printable(run_dir)}",
        *_report_lines(results, paper),
    )
    done = {"hashed": counts["originals_hashed"] + counts["variants"]}
    summary.count(done, len(results.failures))
    summary.print()
    return status


def _start() -> None:
    """Make the first call of the kernels, unless SciPy is missing, as the next import says."""
    if find_spec("scipy"):
        start_numba()


def example() -> int:
    """Print a configuration to start from."""
    from importlib.resources import files

    text = files("photodna_nb").joinpath("evaluation/example.toml").read_text("utf-8")
    print_lines(text, end="")
    return 0


def _report_lines(results: Results, paper: str | None) -> list[str]:
    """Write the report, and the tables for a paper into a folder; return the recommendation."""
    try:
        from photodna_nb import report
    except MissingPackageError as error:  # without Matplotlib there are tables all the same
        names = map(printable, results.summary["influential_originals"])
        where = "see tables/influence_thresholds.csv"
        warnings = [
            f"The original {name} changes a threshold materially: {where}" for name in names
        ]
        return [f"Report: not written; {error}", *warnings]
    lines = [f"Report: {printable(report.write(results))}"]
    if paper is not None:
        report.write_paper(results, paper)
        lines.append(f"Tables for a paper: {printable(paper)}")
    recommendation = report.recommend(results)
    lines += ["", *recommendation.sentences, *recommendation.thresholds]
    lines += report.hasher_lines(results)
    if recommendation.warnings:
        lines += ["", "Limits of this result:", *recommendation.warnings]
    return lines


def compare_runs(first: str, second: str, *, json: bool) -> int:
    """Print what changed between two runs; a change is not a failure."""
    _start()
    from photodna_nb.evaluation import compare, comparison_text

    changes = compare(first, second)
    print_lines(json_text(changes.as_json()) if json else comparison_text(changes))
    return 0
