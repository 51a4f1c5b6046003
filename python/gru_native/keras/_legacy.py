"""The .h5 files of Keras 2, which Keras 3 also writes: groups by layers, tensors in a list.

A group has an attribute "weight_names", and the file "layer_names" with the order of the groups.
Names end in the tensor's own, such as "lstm_1/lstm_cell/kernel:0"; those before it differ with the
version and the back end, so tensors are taken by their order, as Keras does, and their own names
are compared.

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

ANY = "weights"  # a name that stands for any


class _Tensor(NamedTuple):
    path: str
    own_name: str
    shape: tuple[int, ...]
    read: Callable[[], Array]


class Legacy:
    """Tensors of a file of Keras 2, one after the other."""

    def __init__(self, file: H5Source, root: str) -> None:
        self._left = list(_tensors(file, root))[::-1]

    def called(self, path: str, name: str) -> str:
        here = self._next(path, name).path if self._left else path
        return f"{here} ({name})"

    def shape(self, path: str, name: str) -> tuple[int, ...]:
        return self._next(path, name).shape

    def read(self, path: str, name: str) -> Array:
        self._next(path, name)
        return self._left.pop().read()

    def close_vars(self, path: str, count: int) -> None:
        """The end of the list is checked instead."""

    def close(self) -> None:
        if self._left:
            raise ValueError(
                f"tensor {self._left[-1].path} is one of {len(self._left)} more than the model has"
            )

    def _next(self, path: str, name: str) -> _Tensor:
        if not self._left:
            raise ValueError(f"the tensors end before {path} ({name})")
        tensor = self._left[-1]
        if name != ANY and not re.fullmatch(rf"{name}(_\d+)?", tensor.own_name):
            raise ValueError(f"tensor {tensor.path} stands where {name} of {path} is expected")
        return tensor


def _tensors(file: H5Source, root: str) -> Iterator[_Tensor]:
    for layer in file.texts(root, "layer_names"):
        path = f"{root}/{layer}" if root else layer
        tensors = [_tensor(file, f"{path}/{name}") for name in file.texts(path, "weight_names")]
        for i in range(len(tensors)):
            tensors[i : i + 3] = _without_cudnn(tensors[i : i + 3])
        yield from tensors


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
