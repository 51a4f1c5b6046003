"""The part of _core that decoders use."""

from os import PathLike
from typing import Any, Generic, NoReturn

import numpy as np
from numpy.typing import ArrayLike, NDArray
from typing_extensions import Self

from ._core_parts import _T, Edit, _Pybind11Type

def read_decoder(
    path: str | PathLike[str],
) -> tuple[dict[str, Any], bool, dict[str, NDArray[Any]]] | None: ...
def write_decoder(
    path: str | PathLike[str],
    options: dict[str, Any],
    tensors: dict[str, NDArray[Any]],
    single: bool,
) -> None: ...
def check_attention_decoder(
    *,
    vocab_size: int,
    embedding_dim: int,
    hidden_size: int,
    memory_size: int,
    cell: str,
    num_layers: int,
    attention: str | None,
    attention_size: int | None,
    num_memories: int,
    input_feeding: bool,
    readout_size: int | None,
    readout: str,
    location_channels: int,
    location_width: int,
    dropout: float,
) -> None: ...

class _DecoderTape(Generic[_T], metaclass=_Pybind11Type):
    def __init__(self, *args: NoReturn, **kwargs: NoReturn) -> None: ...

class _AttentionDecoder(Generic[_T], metaclass=_Pybind11Type):
    def __init__(
        self,
        *,
        vocab_size: int,
        embedding_dim: int,
        hidden_size: int,
        memory_size: int,
        cell: str,
        num_layers: int,
        attention: str | None,
        attention_size: int | None,
        num_memories: int,
        input_feeding: bool,
        readout_size: int | None,
        readout: str,
        location_channels: int,
        location_width: int,
        dropout: float,
    ) -> None: ...
    def __call__(
        self,
        targets: ArrayLike,
        memory: list[Any],
        memory_lengths: list[Any],
        lengths: ArrayLike | None,
        state: tuple[Any, Any, Any],
    ) -> tuple[NDArray[_T], tuple[Any, NDArray[_T] | None, tuple[NDArray[_T], ...]]]: ...
    def forward(
        self,
        targets: ArrayLike,
        memory: list[Any],
        memory_lengths: list[Any],
        lengths: ArrayLike | None,
        state: tuple[Any, Any, Any],
        training: bool,
        seed: int,
    ) -> tuple[
        NDArray[_T],
        tuple[Any, NDArray[_T] | None, tuple[NDArray[_T], ...]],
        _DecoderTape[_T],
    ]: ...
    def backward(
        self, tape: _DecoderTape[_T], dlogits: ArrayLike | None, dstate: tuple[Any, Any, Any]
    ) -> tuple[
        list[NDArray[_T]],
        tuple[Any, NDArray[_T] | None, tuple[NDArray[_T], ...]],
        dict[str, NDArray[_T]],
    ]: ...
    def weights(self) -> dict[str, NDArray[_T]]: ...
    def edit(self) -> Edit: ...

class DecoderTape32(_DecoderTape[np.float32]): ...
class DecoderTape64(_DecoderTape[np.float64]): ...
class AttentionDecoder32(_AttentionDecoder[np.float32]): ...
class AttentionDecoder64(_AttentionDecoder[np.float64]): ...

def generate(
    decoder: AttentionDecoder32 | AttentionDecoder64,
    memory: list[Any],
    memory_lengths: list[Any],
    state: tuple[Any, Any, Any],
    start: int,
    end: int,
    max_steps: int,
    beam_size: int,
    length_penalty: float,
    attention: bool,
) -> tuple[list[list[tuple[NDArray[np.int64], float, list[NDArray[Any]] | None]]], bool]: ...

class _DecoderStream(Generic[_T], metaclass=_Pybind11Type):
    def __init__(
        self,
        decoder: _AttentionDecoder[_T],
        memory: list[Any],
        memory_lengths: list[Any],
        state: tuple[Any, Any, Any],
        attention: list[Any] | None,
    ) -> None: ...
    def copy(self) -> Self: ...
    def parts(
        self,
    ) -> tuple[
        _AttentionDecoder[_T],
        list[NDArray[_T]],
        list[NDArray[np.int64] | None],
        tuple[Any, NDArray[_T] | None, tuple[NDArray[_T], ...]],
        list[NDArray[_T]] | None,
    ]: ...
    def step(self, tokens: ArrayLike) -> NDArray[_T]: ...
    def attention(self) -> list[NDArray[_T]]: ...
    def state(self) -> tuple[Any, NDArray[_T] | None, tuple[NDArray[_T], ...]]: ...
    def set_state(self, state: tuple[Any, Any, Any]) -> None: ...
    def reset(self) -> None: ...
    @property
    def batch_size(self) -> int: ...

class DecoderStream32(_DecoderStream[np.float32]): ...
class DecoderStream64(_DecoderStream[np.float64]): ...
