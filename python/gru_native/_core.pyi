"""The compiled core of gru_native: see cpp/bindings."""

from typing import Any, Generic, NoReturn, TypeAlias, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

_T = TypeVar("_T", np.float32, np.float64)

# h, or (h, c) for the LSTM. What comes back is Any: which of the two it is follows from the cell.
_StateLike: TypeAlias = ArrayLike | tuple[ArrayLike, ArrayLike]

__version__: str

def set_num_threads(n: int) -> None: ...
def get_num_threads() -> int: ...
def active_isa() -> str: ...
def available_isas() -> list[str]: ...

class _Pybind11Type(type): ...

# The classes exist once per dtype; the generic ones here stand for both.
class _Tape(Generic[_T], metaclass=_Pybind11Type):
    def __init__(self, *args: NoReturn, **kwargs: NoReturn) -> None: ...  # only forward makes one

class _Layer(Generic[_T], metaclass=_Pybind11Type):
    def __init__(
        self,
        *,
        cell: str,
        input_size: int,
        hidden_size: int,
        num_layers: int,
        proj_size: int = 0,
        bias: bool,
        batch_first: bool,
        dropout: float,
        bidirectional: bool,
        reset_after: bool = True,
        nonrecurrent_proj_size: int = 0,
        peephole: bool = False,
        coupled_gates: bool = False,
        input_gate: bool = True,
        forget_gate: bool = True,
        output_gate: bool = True,
        input_activation: str = "tanh",
        output_activation: str = "tanh",
        cell_clip: float = 0.0,
        candidate_activation: str = "tanh",
    ) -> None: ...
    def __call__(
        self, x: ArrayLike, state: _StateLike | None = None, lengths: ArrayLike | None = None
    ) -> tuple[NDArray[_T], Any]: ...
    def forward(
        self,
        x: ArrayLike,
        state: _StateLike | None,
        lengths: ArrayLike | None,
        training: bool,
        dropout_seed: int,
    ) -> tuple[NDArray[_T], Any, _Tape[_T]]: ...
    def backward(
        self, tape: _Tape[_T], dy: ArrayLike | None, dstate: _StateLike | None
    ) -> tuple[NDArray[_T], Any, dict[str, NDArray[_T]]]: ...
    def weights(self, writeable: bool) -> dict[str, NDArray[_T]]: ...
    def commit(self) -> None: ...

class _Stream(Generic[_T], metaclass=_Pybind11Type):
    def __init__(self, layer: _Layer[_T], batch_size: int) -> None: ...
    def __call__(self, x: ArrayLike, out: NDArray[Any] | None = None) -> NDArray[_T]: ...
    @property
    def state(self) -> Any: ...
    @state.setter
    def state(self, value: _StateLike | None) -> None: ...
    @property
    def batch_size(self) -> int: ...
    def reset(self) -> None: ...

class Tape32(_Tape[np.float32]): ...
class Tape64(_Tape[np.float64]): ...
class Layer32(_Layer[np.float32]): ...
class Layer64(_Layer[np.float64]): ...
class Stream32(_Stream[np.float32]): ...
class Stream64(_Stream[np.float64]): ...
