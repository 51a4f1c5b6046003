"""Adam (Kingma and Ba 2015), in place."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from .model import Floats

BETA1, BETA2, EPSILON = 0.9, 0.99, 1e-8


class Adam:
    """m -> g, v -> g^2 as running means; w -= rate m / (sqrt(v) + epsilon), unbiased."""

    def __init__(self, parameters: Mapping[str, Floats]) -> None:
        self._steps = 0
        self._moments = {
            name: (np.zeros_like(w), np.zeros_like(w)) for name, w in parameters.items()
        }

    def update(
        self, parameters: Mapping[str, Floats], gradients: Mapping[str, Floats], rate: float
    ) -> None:
        """Change the parameters by one step of this learning rate. Overwrites the gradients."""
        self._steps += 1
        unbias1 = 1 - BETA1**self._steps
        unbias2 = 1 - BETA2**self._steps
        for name, (m, v) in self._moments.items():
            g = gradients[name]
            m *= BETA1
            v *= BETA2
            m += (1 - BETA1) * g
            np.square(g, out=g)
            g *= 1 - BETA2
            v += g
            denominator = np.sqrt(v, out=g)
            denominator += EPSILON * unbias2**0.5
            step = np.divide(m, denominator, out=g)
            step *= rate * unbias2**0.5 / unbias1
            parameters[name][...] -= step
