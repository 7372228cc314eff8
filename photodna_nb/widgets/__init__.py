"""Choosing a threshold by hand, in a notebook.

    pdna.widgets.ThresholdTuner(pdna.evaluation.Results.load("run"))

Needs ipywidgets, which ``pip install "photodna_nb[notebooks]"`` brings.
"""

from photodna_nb.evaluation.examples import ExamplePair
from photodna_nb.widgets.tuner import ThresholdTuner

__all__ = ["ExamplePair", "ThresholdTuner"]
