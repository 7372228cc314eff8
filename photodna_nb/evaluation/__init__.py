"""From images to a threshold that can be defended: a configuration in, a folder of results out.

    results = pdna.evaluation.run("evaluation.toml", "run")

`config` says what is done, `run` does it, `counts` holds every pair as an exact count,
and `results` is what is written.
"""

from photodna_nb.evaluation.comparison import compare
from photodna_nb.evaluation.comparison_format import comparison_text
from photodna_nb.evaluation.comparison_records import Comparison
from photodna_nb.evaluation.config import Config
from photodna_nb.evaluation.pair_counts import NearestImpostors, PairCounts
from photodna_nb.evaluation.rates import RateEstimates, estimate_rates
from photodna_nb.evaluation.results import Results, VariantFailure
from photodna_nb.evaluation.run_evaluation import run

__all__ = [
    "Comparison",
    "Config",
    "NearestImpostors",
    "PairCounts",
    "RateEstimates",
    "Results",
    "VariantFailure",
    "compare",
    "comparison_text",
    "estimate_rates",
    "run",
]
