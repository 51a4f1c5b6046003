"""From the outputs of networks to labels: the likeliest labellings, in the core, on all cores."""

from ..layers.hypotheses import AttendedHypothesis, Hypothesis
from ._ctc import ctc_beam, ctc_greedy
from ._transducer import TransducerJoint, TransducerStream
from ._transducer_beam import transducer_beam

__all__ = [
    "AttendedHypothesis",
    "Hypothesis",
    "TransducerJoint",
    "TransducerStream",
    "ctc_beam",
    "ctc_greedy",
    "transducer_beam",
]
