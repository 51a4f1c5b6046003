"""From the outputs of networks to labels: the likeliest labellings, in the core, on all cores."""

from ._ctc import ctc_beam, ctc_greedy
from ._hypotheses import Hypothesis

__all__ = ["Hypothesis", "ctc_beam", "ctc_greedy"]
