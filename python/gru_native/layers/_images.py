"""What blocks that read images share. Their width is time: lengths are widths."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ._operation import Operation


class OfImages(Operation):
    """A block that reads images."""

    _over_time = True
    _images = (True, True)


class WithWindows(OfImages):
    """One whose windows make other heights and widths."""

    def _outputs(self, side: int, n: int) -> int:
        """Of n places down (0) or across (1)."""
        raise NotImplementedError  # of each class

    def _output_height(self, height: int) -> int:
        return self._outputs(0, height)

    def _output_lengths(self, lengths: ArrayLike | None) -> Any:
        if lengths is None:
            return None
        return [self._outputs(1, n) if n > 0 else 0 for n in np.asarray(lengths).tolist()]
