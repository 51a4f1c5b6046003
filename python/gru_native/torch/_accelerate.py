"""torch.nn's layers in a model become this package's, and back."""

from __future__ import annotations

import warnings
from typing import Generic, Literal, NamedTuple, TypeVar, overload

import torch
from torch import nn

from .. import layers
from .._core import a_type
from ._modules import CLASSES
from ._quantized import kind_of

M = TypeVar("M", bound=nn.Module)


class Accelerated(NamedTuple, Generic[M]):
    """What ``accelerate`` has done, if asked to report.

    Attributes
    ----------
    model : torch.nn.Module
        The model.
    replaced : list of str
        The names in the model of the modules that now compute on this core.
    left : dict of str to str
        The names of recurrent modules that do not, and why.
    """

    model: M
    replaced: list[str]
    left: dict[str, str]


@overload
def accelerate(model: M, *, report: Literal[False] = False) -> M: ...
@overload
def accelerate(model: M, *, report: Literal[True]) -> Accelerated[M]: ...
def accelerate(model: M, *, report: bool = False) -> M | Accelerated[M]:
    """Let every torch.nn.RNN, LSTM and GRU in a model compute on this package's core.

    The modules stay the objects that they are, with their parameters, hooks and attributes; only
    their class changes, to that of this package. So optimizers and whatever else holds them notice
    nothing. Subclasses are left alone, since they may have another forward. Modules on another
    device or in another dtype change too; calling them is then an error.

    Parameters
    ----------
    model : torch.nn.Module
        The model, which may itself be such a module.
    report : bool, optional
        Whether to return what was replaced and what was not. Without it recurrent modules that are
        left alone are named in a warning.

    Returns
    -------
    torch.nn.Module or Accelerated
        The same model; with ``report`` a tuple of it, of the names of the modules that now compute
        on this core, and of the recurrent ones that do not, with the reasons.

    Raises
    ------
    TypeError
        For what is no module.

    Warns
    -----
    UserWarning
        Without ``report``, if recurrent modules are left alone.

    See Also
    --------
    restore : Undo it.
    """
    become = {c.torch_class: c for c in CLASSES}
    replaced: list[str] = []
    left: dict[str, str] = {}
    _modules(model)
    for name, module in model.named_modules():
        if type(module) in become:
            module.__class__ = become[type(module)]
            replaced.append(name)
        elif type(module) not in CLASSES and (reason := _why_left(module)):
            left[name] = reason
    if report:
        return Accelerated(model, replaced, left)
    if left:
        named = "; ".join(f"{name or 'the model'}: {reason}" for name, reason in left.items())
        warnings.warn(f"gru_native.torch.accelerate leaves alone {named}", stacklevel=2)
    return model


def _why_left(module: nn.Module) -> str | None:
    """Why a recurrent module stays what it is; None for other modules."""
    kind = type(module).__name__
    if isinstance(module, nn.RNNCellBase):
        return f"{kind} computes single steps; a layer would compute them all"
    if isinstance(module, torch.jit.ScriptModule) and module.original_name in (
        "LSTM",
        "GRU",
        "RNN",
    ):
        return f"{module.original_name} is compiled by torch.jit"
    if kind_of(module) not in (None, layers.Dense):
        return f"{kind} is quantized; from_torch makes a layer of it"
    if isinstance(module, nn.RNNBase):
        return f"{kind} is a subclass, which may compute something else"
    return None


def restore(model: M) -> M:
    """Undo ``accelerate``: this package's layers in a model become those of ``torch.nn``.

    Layers with options that ``torch.nn`` does not have stay as they are.

    Parameters
    ----------
    model : torch.nn.Module
        The model, which may itself be such a layer.

    Returns
    -------
    torch.nn.Module
        The same model.

    Raises
    ------
    TypeError
        For what is no module.

    See Also
    --------
    accelerate : What it undoes.
    """
    for module in _modules(model):
        if type(module) in CLASSES and not module.options:
            module.forget_layer()
            module.__class__ = module.torch_class
    return model


def _modules(model: object) -> list[nn.Module]:
    if not isinstance(model, nn.Module):
        raise TypeError(f"model is {a_type(model)}; expected a torch.nn.Module")
    return list(model.modules())
