"""Evaluations: which match threshold fits a collection of images, with confidence intervals.

    results = pdna.evaluation.run("evaluation.toml", "run")

It needs SciPy, which ``pip install "photodna_nb[evaluation]"`` installs.
`config` is the configuration, `run` the list of steps, `pair_counts` the counts of all pairs,
`rates` the rates that are estimated from them, and `results` what is written to a folder.
"""

from photodna_nb.errors import optional_package

with optional_package(__name__, "SciPy", "evaluation"):
    import scipy  # noqa: F401

from photodna_nb.evaluation.comparison import compare
from photodna_nb.evaluation.comparison_format import comparison_text
from photodna_nb.evaluation.comparison_records import Comparison
from photodna_nb.evaluation.config import Config
from photodna_nb.evaluation.curves import RateCurves
from photodna_nb.evaluation.deployment import expected_matches, threshold_for_false_matches
from photodna_nb.evaluation.hasher_results import HasherResults
from photodna_nb.evaluation.intervals import FalseMatchRates
from photodna_nb.evaluation.pair_counts import PairCounts
from photodna_nb.evaluation.pair_records import GenuinePairs, NearestImpostors
from photodna_nb.evaluation.privacy import keyed_names
from photodna_nb.evaluation.rates import RateEstimates, RunEstimates, estimate_rates
from photodna_nb.evaluation.results import Results
from photodna_nb.evaluation.run import run
from photodna_nb.evaluation.tail import Tail
from photodna_nb.evaluation.thresholds import (
    ThresholdChoice,
    choose_threshold,
    supported_threshold,
)
from photodna_nb.evaluation.variant_hashes import VariantFailure

__all__ = [
    "Comparison",
    "Config",
    "FalseMatchRates",
    "GenuinePairs",
    "HasherResults",
    "NearestImpostors",
    "PairCounts",
    "RateCurves",
    "RateEstimates",
    "Results",
    "RunEstimates",
    "Tail",
    "ThresholdChoice",
    "VariantFailure",
    "choose_threshold",
    "compare",
    "comparison_text",
    "estimate_rates",
    "expected_matches",
    "keyed_names",
    "run",
    "supported_threshold",
    "threshold_for_false_matches",
]
