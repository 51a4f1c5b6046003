"""Gradients of weights of which a step has touched a few rows only."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


class RowGradient(NamedTuple):
    """The gradient of a weight of which only some rows have one; that of all others is 0.

    What takes rows of a large weight by their numbers has such a gradient, and
    ``gru_native.optim`` leaves rows without one as they are.

    Attributes
    ----------
    rows : ndarray of int64
        (n,), increasing: which indices on the weight's first axis.
    values : ndarray
        (n, ...): the gradient of each of these rows.
    """

    rows: NDArray[np.int64]
    values: NDArray[Any]

    def dense(self, num_rows: int) -> NDArray[Any]:
        """Return the same gradient as an array of all rows.

        Parameters
        ----------
        num_rows : int
            How many the weight has.

        Returns
        -------
        ndarray
            (num_rows, ...): 0 in all other rows.

        Raises
        ------
        IndexError
            For fewer rows than the weight has.
        """
        whole = np.zeros((num_rows, *self.values.shape[1:]), self.values.dtype)
        whole[self.rows] = self.values
        return whole
