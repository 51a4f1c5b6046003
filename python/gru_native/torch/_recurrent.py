"""What the modules have in common."""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from .._core import a_type
from ..layers import _recurrent as on_numpy
from ..layers._weights import Array
from . import _operators  # noqa: F401  torch.ops.gru_native
from ._function import Call, infer, recur, with_torch_threads

# Arguments of the layers on NumPy arrays that torch.nn has too, or has no use for.
_TORCHS = {"nonlinearity", "bias", "batch_first", "dropout", "bidirectional", "proj_size"}
_TORCHS |= {"dtype", "seed"}
DTYPES = {torch.float32: np.float32, torch.float64: np.float64}


def own_options(numpy_class: type[Any]) -> dict[str, Any]:
    """The options that torch.nn does not have, and their usual values."""
    parameters = inspect.signature(numpy_class).parameters.values()
    return {
        p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY and p.name not in _TORCHS
    }


def new_layer(
    module: nn.RNNBase,
    numpy_class: type[Any],
    dtype: Any,
    seed: int | None = 0,
    batch_first: bool | None = None,
) -> Any:
    """A layer on NumPy arrays with the module's options, and weights of its own."""
    same = ("num_layers", "bias", "batch_first", "dropout", "bidirectional")
    keywords: dict[str, Any] = {name: getattr(module, name) for name in same}
    if getattr(module, "proj_size", 0):
        keywords["proj_size"] = module.proj_size
    if module.mode.startswith("RNN"):
        keywords["nonlinearity"] = module.mode.removeprefix("RNN_").lower()
    keywords |= getattr(module, "options", {})
    if batch_first is not None:
        keywords["batch_first"] = batch_first
    return numpy_class(module.input_size, module.hidden_size, dtype=dtype, seed=seed, **keywords)


class Recurrent(nn.RNNBase):
    """torch.nn.RNNBase with this package's options and computation.

    The core's layer, with its copy of the weights, is made at the first call and is no part of the
    module's state: copies and pickles do without it.
    """

    numpy_class: type[on_numpy.Recurrent[Any]]
    torch_class: type[nn.RNNBase]
    options: Mapping[str, Any] = MappingProxyType({})  # those that are not as usual
    _own_options = ""  # the same, as a part of JSON

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        usual = own_options(self.numpy_class)
        options = {name: kwargs.pop(name) for name in list(kwargs) if name in usual}
        super().__init__(*args, **kwargs)
        options = {name: value for name, value in options.items() if value != usual[name]}
        if options:
            self._take(options)

    def _take(self, options: dict[str, Any]) -> None:
        """Have the parameters that the options lead to instead of torch.nn's."""
        self.options = options
        self._own_options = "".join(
            f", {json.dumps(k)}: {json.dumps(v)}" for k, v in options.items()
        )
        like = self.weight_ih_l0
        layer = new_layer(self, self.numpy_class, DTYPES.get(like.dtype, np.float32))
        for name in list(self._parameters):
            delattr(self, name)
        self._flat_weights_names = list(layer.weights)
        self._flat_weights = [None] * len(layer.weights)
        suffixes = list(dict.fromkeys(name[name.rindex("_l") :] for name in layer.weights))
        self._all_weights = [[n for n in layer.weights if n.endswith(s)] for s in suffixes]
        for name, weight in layer.weights.items():
            setattr(self, name, nn.Parameter(like.new_empty(weight.shape)))
        self._init_flat_weights()
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw new weights as ``torch.nn`` does; with options, as the layer on arrays does."""
        if not self.options:
            super().reset_parameters()
            return
        seed = new_seed()
        drawn = with_torch_threads(new_layer, self, self.numpy_class, np.float64, seed).weights
        with torch.no_grad():
            for name, weight in drawn.items():
                getattr(self, name).copy_(torch.from_numpy(weight.copy()))

    # --- the layer that computes

    def _layer(self, dtype: torch.dtype) -> Any:
        """The layer that computes. Its weights are in the order of the module's parameters."""
        key = (dtype, self.batch_first, self.dropout)
        made = self.__dict__.get("_made")
        if made is None or made[0] != key:
            layer = with_torch_threads(new_layer, self, self.numpy_class, DTYPES[dtype])
            assert list(layer.weights) == self._flat_weights_names
            made = self.__dict__["_made"] = (key, layer)
        return made[1]

    def forget_layer(self) -> None:
        """Give up the core's layer and its copy of the weights; the next call makes another."""
        self.__dict__.pop("_made", None)

    def __getstate__(self) -> Any:
        state = super().__getstate__()
        state.pop("_made", None)
        return state

    # --- calls

    def forward(self, input: Any, hx: Any = None) -> tuple[Any, Any]:
        """Compute the outputs and the final state, as ``torch.nn`` does.

        Parameters
        ----------
        input : torch.Tensor or torch.nn.utils.rnn.PackedSequence
            (seq, batch, input_size), with ``batch_first`` (batch, seq, input_size), or (seq,
            input_size).
        hx : torch.Tensor or tuple of two, optional
            The initial h, or for the LSTM (h, c); None means zeros.

        Returns
        -------
        y : torch.Tensor or torch.nn.utils.rnn.PackedSequence
            The outputs, of the same kind as the input.
        state : torch.Tensor or tuple of two
            The final state.

        Raises
        ------
        ValueError
            For an input of another number of dimensions.
        RuntimeError
            For other wrong sizes, as in ``torch.nn``.
        TypeError
            For tensors that are not float32 or float64, or not on the CPU.
        """
        if torch.compiler.is_compiling() and not isinstance(input, PackedSequence):
            return self._in_graph(input, hx)
        result: tuple[Any, Any] = _outside_graphs()(self, input, hx)
        return result

    def _in_graph(self, input: Tensor, hx: Any) -> tuple[Any, Any]:
        """The same as an operator of a graph, which checks when it runs."""
        if input.dim() not in (2, 3):
            raise ValueError(
                f"{type(self).__name__}: Expected input to be 2D or 3D, got {input.dim()}D tensor "
                "instead"
            )
        weights = [getattr(self, name) for name in self._flat_weights_names]
        batch = 0 if self.batch_first else 1
        state: list[Tensor] = []
        if hx is not None:
            state = list(hx) if self.mode == "LSTM" else [hx]
        single = input.dim() == 2
        x = input.unsqueeze(batch) if single else input
        if single:
            state = [s.unsqueeze(1) for s in state]
        if torch.is_autocast_enabled("cpu"):
            x, state = x.to(weights[0].dtype), [s.to(weights[0].dtype) for s in state]
        drops = self.dropout > 0 and self.num_layers > 1
        random = self.training and (drops or bool(self.options))
        seed = torch.randint(2**63 - 1, ()) if random else torch.zeros((), dtype=torch.int64)
        y, h, c, _ = torch.ops.gru_native.recur(
            x, state, weights, self._description(), random, seed
        )
        if single:
            y, h, c = y.squeeze(batch), h.squeeze(1), c.squeeze(1) if self.mode == "LSTM" else c
        return y, (h, c) if self.mode == "LSTM" else h

    def _description(self) -> str:
        """Its class and options as the operator takes them."""
        parts = [
            f'"kind": "{self.mode[:4].removesuffix("_")}"',
            f'"input_size": {self.input_size}, "hidden_size": {self.hidden_size}',
            f'"num_layers": {self.num_layers}, "dropout": {float(self.dropout)}',
        ]
        for name in ("bias", "batch_first", "bidirectional"):
            parts.append(f'"{name}": {"true" if getattr(self, name) else "false"}')
        if self.mode.startswith("RNN"):
            parts.append(f'"nonlinearity": "{self.mode[4:].lower()}"')
        if getattr(self, "proj_size", 0):
            parts.append(f'"proj_size": {self.proj_size}')
        return "{" + ", ".join(parts) + self._own_options + "}"

    def _call(self, input: Any, hx: Any) -> tuple[Any, Any]:
        if torch.jit.is_tracing():
            raise RuntimeError(
                "torch.jit.trace and torch.onnx cannot see into gru_native.torch's modules: "
                "call gru_native.torch.restore(model) before"
            )
        if isinstance(input, PackedSequence):
            return self._packed(input, hx)
        if not isinstance(input, Tensor):
            kind = a_type(input)
            raise TypeError(f"input is {kind}; expected a tensor or a PackedSequence")
        if input.dim() == 2 and not input.is_nested:
            batch = 0 if self.batch_first else 1
            hx = _each(lambda s: _unbatched(s).unsqueeze(1), hx)
            y, final = self._padded(input.unsqueeze(batch), hx)
            return y.squeeze(batch), _each(lambda s: s.squeeze(1), final)
        return self._padded(input, hx)

    def _packed(self, input: PackedSequence, hx: Any) -> tuple[PackedSequence, Any]:
        first = self.batch_first
        x, lengths = pad_packed_sequence(PackedSequence(input.data, input.batch_sizes), first)
        if hx is not None:
            hx = self.permute_hidden(hx, input.sorted_indices)
        y, final = self._padded(x, hx, lengths.numpy())
        packed = pack_padded_sequence(y, lengths, first)
        return (
            PackedSequence(
                packed.data, packed.batch_sizes, input.sorted_indices, input.unsorted_indices
            ),
            self.permute_hidden(final, input.unsorted_indices),
        )

    def _padded(self, x: Tensor, hx: Any, lengths: Array | None = None) -> tuple[Tensor, Any]:
        weights = self._weights()
        dtype = weights[0].dtype
        if torch.is_autocast_enabled("cpu"):
            x, hx = x.to(dtype), _each(lambda s: s.to(dtype), hx)
        state = self._checked(x, hx, dtype)
        layer = self._layer(dtype)
        if 0 in x.shape[:2]:
            return self._empty(layer, x, state, weights)
        # What options draw at random, zoneout for one, is theirs to know.
        drops = self.dropout > 0 and self.num_layers > 1
        random = self.training and (drops or bool(self.options))
        call = Call(layer._core, lengths, random, new_seed() if random else 0)
        if torch.is_grad_enabled() and any(t.requires_grad for t in (x, *state, *weights)):
            h0, c0 = (*state, None, None)[:2]
            y, *final = recur(call, x, h0, c0, weights)
        else:
            y, *final = infer(call, x, state, weights)
        return y, tuple(final) if len(final) == 2 else final[0]

    def _weights(self) -> list[Tensor]:
        """The weights in order, checked. They are no parameters where something else is computed
        of those (torch.nn.utils.parametrize)."""
        own = self._parameters
        names = self._flat_weights_names
        weights = [own[name] if name in own else getattr(self, name) for name in names]
        dtype = weights[0].dtype
        for name, weight in zip(names, weights, strict=True):
            if not _is_usual(weight, dtype):
                _check(name, weight, dtype)
        return weights

    def _empty(
        self, layer: Any, x: Tensor, state: tuple[Tensor, ...], weights: list[Tensor]
    ) -> tuple[Tensor, Any]:
        """For a batch of no sequences: outputs of the right widths, gradients of zeros."""
        batch = 0 if self.batch_first else 1
        if x.shape[1 - batch] == 0:
            raise RuntimeError("Expected sequence length to be larger than 0 in RNN")
        row = x.new_zeros([1 if d == batch else n for d, n in enumerate(x.shape)])
        y, *final = infer(Call(layer._core, None, False, 0), row, (), weights)
        nothing = sum(0 * t.sum() for t in (x, *state, *weights))
        final = [s[:, :0] + nothing for s in final]
        return y.narrow(batch, 0, 0) + nothing, tuple(final) if len(final) == 2 else final[0]

    def _checked(self, x: Tensor, hx: Any, dtype: torch.dtype) -> tuple[Tensor, ...]:
        """The initial state's tensors; errors for all but the weights."""
        if x.dim() != 3 or x.is_nested:
            got = "a nested" if x.is_nested else f"{x.dim()}D"
            raise ValueError(
                f"{type(self).__name__}: Expected input to be 2D or 3D, got {got} tensor instead"
            )
        if not (_is_usual(x, dtype) and x.shape[-1] == self.input_size):
            _check_place("input", x)
            self.check_input(x, None)
        if hx is None:
            return ()
        pair = isinstance(hx, (tuple, list))
        if pair != (self.mode == "LSTM") or (pair and len(hx) != 2):
            expected = "the LSTM's pair (h_0, c_0)" if self.mode == "LSTM" else "a tensor"
            raise TypeError(f"hx is {a_type(hx)}; expected {expected}")
        state = tuple(hx) if pair else (hx,)
        for name, tensor in zip(("hx[0]", "hx[1]") if pair else ("hx",), state, strict=True):
            _check(name, tensor, x.dtype)
        if not self.options:  # with them a state may have other sizes, which the core checks
            self.check_forward_args(x, hx, None)
        return state

    def extra_repr(self) -> str:
        """Return the text in ``repr``: that of ``torch.nn``, and the options.

        Returns
        -------
        str
            What stands in the brackets.
        """
        options = "".join(f", {name}={value!r}" for name, value in self.options.items())
        return f"{super().extra_repr()}{options}"


_disabled: Any = None


def _outside_graphs() -> Any:
    """Recurrent._call, for torch.compile to leave alone where that is loaded."""
    global _disabled
    if "torch._dynamo" not in sys.modules:
        return Recurrent._call
    if _disabled is None:
        _disabled = torch._dynamo.disable(Recurrent._call)
    return _disabled


def new_seed() -> int:
    """A seed from PyTorch's generator."""
    return int(torch.randint(2**63 - 1, (), device="cpu"))


def _each(function: Any, state: Any) -> Any:
    """The state (None, a tensor, or a pair) with the function applied to each tensor."""
    if isinstance(state, (tuple, list)):
        return tuple(function(s) for s in state)
    return None if state is None else function(state)


def _unbatched(state: Tensor) -> Tensor:
    if state.dim() != 2:
        raise RuntimeError(
            f"For unbatched 2-D input, hx should also be 2-D but got {state.dim()}-D tensor"
        )
    return state


def _is_usual(tensor: Tensor, dtype: torch.dtype) -> bool:
    """Whether it passes _check: faster where it does, which is nearly always."""
    good = tensor.dtype is dtype and tensor.is_cpu and tensor.layout is torch.strided
    return good and dtype in DTYPES


def _check(name: str, tensor: Any, dtype: torch.dtype) -> None:
    _check_place(name, tensor)
    if dtype not in DTYPES:
        raise TypeError(f"{name} has dtype {tensor.dtype}; expected torch.float32 or torch.float64")
    if tensor.dtype != dtype:
        raise TypeError(f"{name} has dtype {tensor.dtype}; expected {dtype}, as the weights have")


def _check_place(name: str, tensor: Any) -> None:
    if not isinstance(tensor, Tensor):
        raise TypeError(f"{name} is {a_type(tensor)}; expected a tensor")
    if tensor.device.type != "cpu":
        raise TypeError(
            f"{name} is on device {tensor.device}; expected the CPU, where gru_native computes: "
            f"gru_native.torch.restore(model) brings back torch.nn's layers"
        )
    if tensor.layout != torch.strided:
        raise TypeError(f"{name} has layout {tensor.layout}; expected torch.strided")
