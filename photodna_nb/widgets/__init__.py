"""Widgets for choosing a threshold in a notebook.

    pdna.widgets.ThresholdTuner(pdna.evaluation.Results.load("run"))

They need ipywidgets, which ``pip install "photodna_nb[notebooks]"`` installs.
"""

from photodna_nb.errors import optional_package

with optional_package(__name__, "ipywidgets", "notebooks"):
    import ipywidgets  # noqa: F401

from photodna_nb.widgets.tuner import ThresholdTuner

__all__ = ["ThresholdTuner"]
