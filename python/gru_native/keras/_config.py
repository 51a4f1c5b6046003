"""Keras's configurations of layers and models, read with care.

A configuration is what a .keras file has in config.json, so anything may be in it: every entry that
matters is checked, and an error names the layer and the entry.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ._activations import KERAS_2, activation_name


class Entry:
    """One object of a configuration: its class, its name, and its options, checked one by one."""

    def __init__(self, value: Any, where: str, keras_2: bool = False) -> None:
        self.keras_2 = keras_2
        if not isinstance(value, Mapping):
            raise ValueError(f"{where} is no configuration of a Keras object")
        keras_class = value.get("class_name")
        if keras_2 and keras_class == "Sequential" and isinstance(value.get("config"), list):
            value = {**value, "config": {"layers": value["config"]}}  # before 2.2.3
        if not isinstance(value.get("config"), Mapping):
            raise ValueError(f"{where} is no configuration of a Keras object")
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
        return Entry(self._options.get(option), f"{self.where}: {option}", self.keras_2)

    def entries(self, option: str) -> list[Entry]:
        values = self._options.get(option)
        if not isinstance(values, list) or not values:
            raise ValueError(f"{self.where}: {option} is no list of layers")
        return [
            Entry(value, f"{self.where}: {option}[{i}]", self.keras_2)
            for i, value in enumerate(values)
        ]

    def flag(self, option: str, default: bool = False) -> bool:
        value = self._options.get(option, default)
        if not isinstance(value, bool):
            self._refuse(option, "true or false")
        return bool(value)

    def size(self, option: str, default: int | None = None) -> int:
        value = self._options.get(option, default)
        if isinstance(value, (list, tuple)) and len(value) == 1:
            value = value[0]  # of what has one axis, such as Conv1D
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value < 2**40:
            self._refuse(option, "a whole number from 1")
        return int(value)

    def sizes(self, option: str, count: int, default: int | None = None) -> tuple[int, ...]:
        """A size for each of so many axes; one number is all."""
        value = self._options.get(option, default)
        sizes = list(value) if isinstance(value, (list, tuple)) else [value] * count
        if len(sizes) != count or any(type(n) is not int or not 1 <= n < 2**40 for n in sizes):
            self._refuse(option, f"a whole number from 1, or {count}")
        return tuple(sizes)

    def two_sides(self, option: str, default: int) -> tuple[int, int]:
        """How much before and behind; one number is both."""
        value = self._options.get(option, default)
        sides = list(value) if isinstance(value, (list, tuple)) else [value, value]
        if len(sides) != 2 or any(type(n) is not int or not 0 <= n < 2**40 for n in sides):
            self._refuse(option, "a whole number from 0, or two")
        return sides[0], sides[1]

    def number(self, option: str, default: float = 0.0) -> float:
        value = self._options.get(option, default)
        if isinstance(value, Mapping) and value.get("type") == "ndarray":
            value = value.get("value")  # as Keras 2 writes numbers of NumPy
        if isinstance(value, bool) or not isinstance(value, (int, float)) or abs(value) > 1e300:
            self._refuse(option, "a number")
        return float(value)

    def activation(self, option: str, default: str) -> str:
        name = activation_name(self.where, option, self._options.get(option, default))
        return KERAS_2.get(name, name) if self.keras_2 else name

    def choice(self, option: str, choices: tuple[str, ...], default: str) -> str:
        value = self._options.get(option, default)
        if value not in choices:
            self._refuse(option, " or ".join(map(repr, choices)))
        return str(value)

    def last_axis(self) -> int | None:
        """The number of axes that x must have so that axis is the features; None: any."""
        value = self._options.get("axis", -1)
        if isinstance(value, list) and len(value) == 1:
            value = value[0]
        if isinstance(value, bool) or value not in (-1, 1, 2):
            self._refuse("axis", "-1, the features")
        return None if value == -1 else int(value) + 1

    def axis(self) -> int:
        """One axis of x, which is not that of the batch; -1 is the last."""
        value = self._options.get("axis", -1)
        if isinstance(value, list) and len(value) == 1:
            value = value[0]
        if type(value) is not int or value not in (-1, 1, 2, 3):
            self._refuse("axis", "one of -1, 1, 2, 3")
        return int(value)

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
