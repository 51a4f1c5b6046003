"""Recurrent layers for PyTorch models that compute on this package's core: drop-in modules.

    >>> import gru_native.torch
    >>> lstm = gru_native.torch.LSTM(40, 256)     # as torch.nn.LSTM
    >>> gru_native.torch.accelerate(model)        # or: every torch.nn.RNN, LSTM and GRU in a model
    >>> gru_native.torch.restore(model)           # and back

The modules are ``torch.nn``'s own but for the computation: names of parameters, initialisation,
calls, ``PackedSequence``, hooks, ``state_dict`` and ``repr`` are the same. ``from_torch`` and
``to_torch`` convert between them and the layers on NumPy arrays.

What concerns PyTorch:

- CPU tensors of float32 or float64; anything else is an error that names the tensor. Under
  ``torch.autocast`` inputs are taken to the dtype of the weights and computed in that.
- Weights may be changed at any time and in any way, ``weight.data`` and NumPy views included: each
  call compares them with the bits that it has packed.
- Gradients are of first order. A second derivative, and a derivative of a derivative hidden in
  ``torch.func``, is a RuntimeError.
- A call uses at most ``torch.get_num_threads()`` threads, and at most
  ``gru_native.get_num_threads()``.
- Dropout's masks are drawn from a seed of PyTorch's generator: ``torch.manual_seed`` reproduces
  them, but they are not those that ``torch.nn`` draws.
- ``torch.export`` has an operator for them, ``gru_native::recur``, and so has ``torch.compile``
  where ``torch._dynamo.config.allow_rnn`` is True; otherwise that runs them between its graphs, as
  it does ``torch.nn``'s. ``torch.jit`` cannot see into them: ``restore`` the model before.
"""

try:
    import torch as _torch  # noqa: F401
except ImportError as error:
    raise ImportError(
        "gru_native.torch needs PyTorch, which is not installed: python -m pip install torch"
    ) from error

from ._accelerate import Accelerated, accelerate, restore
from ._convert import from_torch, to_torch
from ._modules import GRU, LSTM, RNN

__all__ = ["GRU", "LSTM", "RNN", "Accelerated", "accelerate", "from_torch", "restore", "to_torch"]
