"""Recurrent networks in float64 NumPy, straight from the papers: the oracle of the tests.

Nothing here is fast and nothing here is shared with the core. A cell file holds one time step of
one sequence, forward beside backward, in the paper's letters; `network` stacks the cells into
layers and directions and runs a batch as what it is, a list of sequences that never meet.
"""

from reference.lstm_variants import Variant
from reference.network import Spec, Tape, backward, forward, weight_shapes

__all__ = ["Spec", "Tape", "Variant", "backward", "forward", "weight_shapes"]
