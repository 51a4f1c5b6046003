"""Keras's configurations of layers and models, read with care.

A configuration is what a .keras file has in config.json, so anything may be in it: every entry that
matters is checked, and an error names the layer and the entry.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ._activations import activation_name


class Entry:
    """One object of a configuration: its class, its name, and its options, checked one by one."""

    def __init__(self, value: Any, where: str) -> None:
        if not isinstance(value, Mapping) or not isinstance(value.get("config"), Mapping):
            raise ValueError(f"{where} is no configuration of a Keras object")
        keras_class = value.get("class_name")
        self._options: Mapping[str, Any] = value["config"]
        name = self._options.get("name")
        self.name = name if isinstance(name, str) else str(keras_class)
        module = value.get("module")
        if not isinstance(keras_class, str):
            raise ValueError(f"{where} has class_name {keras_class!r}; expected a text")
        self.keras_class = keras_class
        if value.get("registered_name") not in (None, self.keras_class) or (
            isinstance(module, str) and module.split(".")[0] != "keras"
        ):
            raise ValueError(
                f"layer {self.name!r} is a {self.keras_class}, which is no class of Keras's own"
            )
        self.where = f"layer {self.name!r}"

    def raw(self, option: str) -> Any:
        return self._options.get(option)

    def entry(self, option: str) -> Entry:
        return Entry(self._options.get(option), f"{self.where}: {option}")

    def entries(self, option: str) -> list[Entry]:
        values = self._options.get(option)
        if not isinstance(values, list) or not values:
            raise ValueError(f"{self.where}: {option} is no list of layers")
        return [Entry(value, f"{self.where}: {option}[{i}]") for i, value in enumerate(values)]

    def flag(self, option: str, default: bool = False) -> bool:
        value = self._options.get(option, default)
        if not isinstance(value, bool):
            self._refuse(option, "true or false")
        return bool(value)

    def size(self, option: str) -> int:
        value = self._options.get(option)
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value < 2**40:
            self._refuse(option, "a whole number from 1")
        return int(value)  # type: ignore[arg-type]

    def number(self, option: str, default: float = 0.0) -> float:
        value = self._options.get(option, default)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or abs(value) > 1e300:
            self._refuse(option, "a number")
        return float(value)

    def activation(self, option: str, default: str) -> str:
        return activation_name(self.where, option, self._options.get(option, default))

    def dtype(self) -> str:
        value = self._options.get("dtype")
        if isinstance(value, Mapping):
            inner = value.get("config")
            value = inner.get("name") if isinstance(inner, Mapping) else value
        if value is None:
            return "float32"
        if value not in ("float32", "float64"):
            raise ValueError(f"{self.where}: dtype is {value!r}; expected 'float32' or 'float64'")
        return str(value)

    def absent(self, option: str) -> None:
        if self._options.get(option):
            self._refuse(option, "none")

    def _refuse(self, option: str, expected: str) -> None:
        value = repr(self._options.get(option))
        raise ValueError(f"{self.where}: {option} is {value[:80]}; expected {expected}") from None
