"""The .h5 files of Keras 2, which Keras 3 also writes: groups by layers, tensors in a list.

A group has an attribute "weight_names", and the file "layer_names" with the order of the groups.
Names end in the tensor's own, such as "lstm_1/lstm_cell/kernel:0"; those before it differ with the
version and the back end, so tensors are taken by their order, as Keras does, and their own names
are compared. A layer's group has what is trained first, so that of a model as a layer has the
statistics of all its normalisations last.

CuDNNLSTM and CuDNNGRU have the shapes of LSTM and GRU, but for a bias that is as long again:
(8 units,) and (6 units,), that of the input before the recurrent one. The kernel of a gate is
(units, input) in the order of columns, the recurrent one (units, units) transposed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from ..layers._weights import Array
from ._hdf5 import H5Source
from ._source import UNNAMED


class _Tensor(NamedTuple):
    path: str
    own_name: str
    shape: tuple[int, ...]
    read: Callable[[], Array]


class Legacy:
    """Tensors of a file of Keras 2, one after the other."""

    def __init__(self, file: H5Source, root: str) -> None:
        # Of each group what is trained, and then the statistics, both in the layers' order.
        self._groups = [group for group in map(_parted, _groups(file, root)) if any(group)]

    def called(self, path: str, name: str) -> str:
        here = self._next(path, name).path if self._groups else path
        return f"{here} ({name})"

    def shape(self, path: str, name: str) -> tuple[int, ...]:
        return self._next(path, name).shape

    def read(self, path: str, name: str) -> Array:
        tensor = self._next(path, name)
        for part in self._groups[0]:
            if part and part[0] is tensor:
                part.pop(0)
        if not any(self._groups[0]):
            self._groups.pop(0)
        return tensor.read()

    def close_vars(self, path: str, count: int) -> None:
        """The end of the list is checked instead."""

    def close(self) -> None:
        left = [tensor for group in self._groups for part in group for tensor in part]
        if left:
            raise ValueError(f"tensor {left[0].path} is one of {len(left)} more than the model has")

    def _next(self, path: str, name: str) -> _Tensor:
        if not self._groups:
            raise ValueError(f"the tensors end before {path} ({name})")
        trained, statistics = self._groups[0]
        own = name.startswith("moving_")
        tensor = (statistics if own and statistics else trained or statistics)[0]
        if name != UNNAMED and not re.fullmatch(rf"{name}(_\d+)?", tensor.own_name):
            raise ValueError(f"tensor {tensor.path} stands where {name} of {path} is expected")
        return tensor


def _parted(tensors: list[_Tensor]) -> tuple[list[_Tensor], list[_Tensor]]:
    trained: list[_Tensor] = []
    statistics: list[_Tensor] = []
    for tensor in tensors:
        (statistics if tensor.own_name.startswith("moving_") else trained).append(tensor)
    return trained, statistics


def _groups(file: H5Source, root: str) -> Iterator[list[_Tensor]]:
    for layer in file.texts(root, "layer_names"):
        path = f"{root}/{layer}" if root else layer
        tensors = [_tensor(file, f"{path}/{name}") for name in file.texts(path, "weight_names")]
        for i in range(len(tensors)):
            tensors[i : i + 3] = _without_cudnn(tensors[i : i + 3])
        yield tensors


def _tensor(file: H5Source, path: str) -> _Tensor:
    own = path.rsplit("/", 1)[-1].split(":")[0]
    return _Tensor(path, own, file.shape(path, own), lambda: file.read(path, own))


def _without_cudnn(tensors: list[_Tensor]) -> list[_Tensor]:
    """Three tensors in the layout of LSTM or GRU, if they are those of CuDNNLSTM or CuDNNGRU."""
    if len(tensors) < 3 or any(len(t.shape) != 2 for t in tensors[:2]):
        return tensors
    kernel, recurrent, bias = tensors
    units, columns = recurrent.shape
    gates = columns // units if units else 0
    if (
        not recurrent.own_name.startswith("recurrent_kernel")
        or bias.shape != (2 * columns,)
        or gates not in (3, 4)
        or columns != gates * units
        or kernel.shape[1] != columns
    ):
        return tensors

    def by_gate(tensor: _Tensor, convert: Callable[[Array], Array]) -> _Tensor:
        def read() -> Array:
            return np.hstack([convert(gate) for gate in np.hsplit(tensor.read(), gates)])

        return tensor._replace(read=read)

    both = (2, columns)
    if gates == 3:
        new_bias = bias._replace(shape=both, read=lambda: bias.read().reshape(both))
    else:
        new_bias = bias._replace(shape=(columns,), read=lambda: bias.read().reshape(both).sum(0))
    return [
        by_gate(kernel, lambda gate: gate.T.reshape(gate.shape, order="F")),
        by_gate(recurrent, lambda gate: gate.T),
        new_bias,
    ]
