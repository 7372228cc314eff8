"""The modes that evaluate, and compare two evaluations."""

from __future__ import annotations

import sys
from json import dumps
from typing import TYPE_CHECKING

from photodna_nb.cli.images import quiet_decoders
from photodna_nb.cli.output import print_error, print_lines, print_message
from photodna_nb.cli.startup import start_numba
from photodna_nb.printable import printable

if TYPE_CHECKING:
    from photodna_nb.evaluation import Results


def evaluate(config_path: str, run_dir: str, *, jobs: int | None) -> int:
    """Run an evaluation, name what failed, and say what it found and where the results are."""
    start_numba()
    from photodna_nb.evaluation import run

    shown = sys.stderr is not None and sys.stderr.isatty()
    with quiet_decoders():
        results = run(config_path, run_dir, max_workers=jobs, progress=shown)
    status = 0
    for original, transform, error in results.failures:
        edited = "" if transform is None else f" after {transform}"
        status = print_error(f"{printable(original)}{edited}: {error}")
    found = results.summary
    if not results.manifest["this_run"]["originals_available"]:
        print_message("the originals cannot be found; the hashes of the earlier run are used")
    print_lines(
        f"Originals: {found['originals_hashed']} hashed, {found['originals_failed']} failed",
        f"Variants: {found['variants']} hashed, {found['variants_failed']} failed",
        f"Pairs: {found['genuine_pairs']} genuine, {found['impostor_pairs']} impostor",
        f"Results: {printable(run_dir)}",
        *_reported(results),
    )
    return status


def example() -> int:
    """Print a configuration to start from."""
    from importlib.resources import files

    text = files("photodna_nb.evaluation").joinpath("example.toml").read_text("utf-8")
    print_lines(text, end="")
    return 0


def _reported(results: Results) -> list[str]:
    """Return what the report says first, once it is written."""
    import photodna_nb

    try:
        report = photodna_nb.report
    except AttributeError as error:  # without Matplotlib there are tables all the same
        return [f"Report: not written; {error}"]
    where = report.write(results)
    found = report.recommend(results)
    said = [f"Report: {printable(where)}", "", *found.sentences, *found.thresholds]
    return [*said, "", "Limits of this result:", *found.warnings] if found.warnings else said


def compare_runs(first: str, second: str, *, json: bool) -> int:
    """Print what changed between two runs; that something did is no failure."""
    start_numba()
    from photodna_nb.evaluation import compare, comparison_text

    found = compare(first, second)
    print_lines(dumps(found.as_json(), allow_nan=False) if json else comparison_text(found))
    return 0
