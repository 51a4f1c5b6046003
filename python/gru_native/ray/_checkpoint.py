"""A run in files: the model, and all that the run needs to go on."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import BadZipFile

import numpy as np

from .._core import a_type
from ..files import PathLike, save
from ..layers._weights import Array, check_state_dict

WEIGHTS, OPTIMIZER, STEPS = "weights/", "optimizer/", "steps"


class State(NamedTuple):
    """Between two steps: how many each worker has done, and arrays by the weights' names."""

    steps: list[int]
    weights: dict[str, Array]
    optimizer: dict[str, Array]


class Checkpoint:
    """A folder with ``state.npz``, which is a whole run, and the model for ``gru_native.load``.

    Each file is written under another name and then takes its place.
    """

    def __init__(self, folder: PathLike) -> None:
        try:
            self._folder = Path(folder)
        except TypeError as error:
            raise TypeError(
                f"checkpoint is {a_type(folder)}; expected a path of a folder"
            ) from error
        self._folder.mkdir(parents=True, exist_ok=True)
        self._file = self._folder / "state.npz"

    def read(self, resume: bool, weights: dict[str, Array]) -> State | None:
        """The state to begin with, if there is one."""
        if not self._file.exists():
            return None
        if not resume:
            raise ValueError(
                f"checkpoint is {self._folder}, which has a run already; expected resume=True to "
                "go on with it, or another folder"
            )
        try:
            with np.load(self._file, allow_pickle=False) as arrays:
                steps = arrays[STEPS].tolist()
                of = {
                    prefix: {
                        n.removeprefix(prefix): arrays[n] for n in arrays if n.startswith(prefix)
                    }
                    for prefix in (WEIGHTS, OPTIMIZER)
                }
            if not isinstance(steps, list) or not all(type(n) is int and n >= 0 for n in steps):
                raise ValueError(f"steps are {steps}; expected whole numbers from 0")
            checked = check_state_dict(of[WEIGHTS], weights, strict=True)
        except (ValueError, TypeError, KeyError, EOFError, BadZipFile) as error:
            raise ValueError(f"checkpoint: {self._file}: {error}") from error
        return State(steps, checked, of[OPTIMIZER])

    def write(self, state: State, model: Any) -> None:
        """Both files; a model of a kind that has no files is only in the first."""
        arrays: dict[str, Any] = {STEPS: np.array(state.steps, np.int64)}
        arrays |= {WEIGHTS + name: w for name, w in state.weights.items()}
        arrays |= {OPTIMIZER + name: s for name, s in state.optimizer.items()}
        handle, name = tempfile.mkstemp(prefix="state.", suffix=".part", dir=self._folder)
        try:
            with os.fdopen(handle, "wb") as file:
                np.savez(file, **arrays)
                file.flush()
                os.fsync(file.fileno())
            os.replace(name, self._file)
        except BaseException:
            os.unlink(name)
            raise
        several = isinstance(model, list)
        for i, layer in enumerate(model if several else [model]):
            with suppress(TypeError):
                save(layer, self._folder / f"model{f'.{i}' * several}.safetensors")
