"""Every public thing says what it takes, returns and raises, in the sections of numpydoc."""

import importlib
import inspect
import re
from dataclasses import is_dataclass
from types import UnionType
from typing import get_args

import pytest

validate = pytest.importorskip("numpydoc.validate").validate

PARTS = ("decoding", "losses", "complexity", "torch", "keras", "onnx", "ray")
PACKAGES = ("gru_native", *(f"gru_native.{part}" for part in PARTS))
# Of numpydoc's checks those that hold here: not on which line a docstring begins, nor whether there
# is an extended summary, a "See Also" or an example.
CHECKS = {
    *("GL03", "GL06", "GL07", "GL08", "SS01", "SS02", "SS03", "SS04", "SS06"),
    *("PR01", "PR02", "PR03", "PR04", "PR05", "PR06", "PR07", "PR08", "PR09", "PR10"),
    *("RT01", "RT02", "RT03", "RT04", "RT05", "YD01"),
}


def public_things():
    """Names of classes, their methods and properties, and functions."""
    for package in PACKAGES:
        try:
            module = importlib.import_module(package)
        except ImportError:
            continue  # an extra that is not installed
        for name in module.__all__:
            thing = getattr(module, name)
            kinds = {f"{package}.{name}": thing} if inspect.isclass(thing) else {}
            if isinstance(thing, UnionType):  # of the core's classes, one for each dtype
                kinds = {f"{kind.__module__}.{kind.__name__}": kind for kind in get_args(thing)}
            for path, kind in kinds.items():
                yield path
                yield from (f"{path}.{member}" for member in members_of(kind))
            if kinds:
                continue
            if inspect.isroutine(thing):
                yield f"{package}.{name}"


def members_of(kind):
    """Methods and properties that this package wrote, inherited ones too."""
    for name in dir(kind):
        owner = next(base for base in kind.__mro__ if name in vars(base))
        member = inspect.getattr_static(kind, name)
        ours = owner.__module__.startswith("gru_native")
        documented = inspect.isroutine(member) or isinstance(
            member, (property, classmethod, staticmethod)
        )
        if ours and documented and (name == "__call__" or not name.startswith("_")):
            yield name


NAMES = sorted(set(public_things()))


def test_there_are_many():
    assert len(NAMES) > 200
    assert {"gru_native.LSTM", "gru_native.LSTM.forward", "gru_native.Chain.__call__"} <= set(NAMES)
    assert {"gru_native.losses.ctc", "gru_native._core.Stream32.__call__"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_sections(name):
    result = validate(name)
    errors = {code: text for code, text in result["errors"] if code in CHECKS}
    doc = result["docstring"] or ""
    package = max((p for p in (*PACKAGES, "gru_native._core") if name.startswith(p)), key=len)
    thing = importlib.import_module(package)
    for part in name.removeprefix(f"{package}.").split("."):
        thing = (
            inspect.getattr_static(thing, part) if inspect.isclass(thing) else getattr(thing, part)
        )
    is_made_by_others = inspect.isclass(thing) and made_by_others(thing, doc)
    if is_made_by_others:
        errors.pop("PR01", None)
        assert "Attributes\n" in doc or not vars(thing).get("__annotations__"), doc
    assert not errors, f"{name}: {errors}"
    if not is_made_by_others and takes_arguments(thing):
        assert re.search(r"^ *Raises\n *-+$", doc, re.M) or name in CANNOT_FAIL, name


def made_by_others(kind, doc):
    """Its constructor is not for users: what a call returns."""
    return hasattr(kind, "_fields") or is_dataclass(kind) or "Made by ``" in doc


def takes_arguments(thing):
    if isinstance(thing, property):
        return False
    function = getattr(thing, "__func__", thing)
    names = list(inspect.signature(function).parameters)
    return bool(set(names) - {"self", "cls"})


# They take anything, or what they take has been checked.
CANNOT_FAIL = {
    "gru_native.complexity.Bytes.of",
    "gru_native.complexity.Limits.flops",
    "gru_native.complexity.Limits.level",
    "gru_native.complexity.Limits.read_rate",
    "gru_native.complexity.Limits.used",
    "gru_native.complexity.Tensor.bytes",
    "gru_native.complexity.Work.macs_by",
    "gru_native.keras.Activation.__call__",
    "gru_native.keras.Identity.__call__",
    "gru_native.onnx.Backend.is_compatible",
    "gru_native.onnx.Backend.supports_device",
    "gru_native.onnx.is_compatible",
    "gru_native.onnx.supports_device",
}
