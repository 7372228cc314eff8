"""The mode that evaluates."""

from __future__ import annotations

import sys

from photodna_nb.cli.output import failed, print_lines
from photodna_nb.cli.pictures import quiet_decoders, start_numba
from photodna_nb.names import displayed


def evaluate(config_path: str, run_dir: str, jobs: int | None) -> int:
    """Run an evaluation, name what failed, and say where the results are."""
    start_numba()
    from photodna_nb.evaluation import Config, run

    config = Config.load(config_path)
    shown = sys.stderr is not None and sys.stderr.isatty()
    with quiet_decoders():
        results = run(config, run_dir, max_workers=jobs, progress=shown)
    status = 0
    for original, transform, error in results.failures:
        edited = "" if transform is None else f" after {transform}"
        status = failed(f"{displayed(original)}{edited}: {error}")
    found = results.summary
    print_lines(
        f"Originals: {found['originals_hashed']} hashed, {found['originals_failed']} failed",
        f"Variants: {found['variants']} hashed, {found['variants_failed']} failed",
        f"Pairs: {found['genuine_pairs']} genuine, {found['impostor_pairs']} impostor",
        f"Results: {displayed(run_dir)}",
    )
    return status
