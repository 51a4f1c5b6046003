"""A model in a file: ``np.savez`` of its parameters, and a JSON description beside them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from .errors import UnusableArgument
from .model import CharacterModel


def check_writable(path: Path) -> None:
    """UnusableArgument if the file could not be written, before long work is done for it."""
    if path.is_dir():
        raise UnusableArgument(f"--out {path}: is a folder; expected a file's name")
    if not path.parent.is_dir():
        raise UnusableArgument(f"--out {path}: there is no folder {path.parent}")
    if not os.access(path.parent, os.W_OK):
        raise UnusableArgument(f"--out {path}: the folder {path.parent} is not writable")


def save(model: CharacterModel, path: Path) -> None:
    """Write the file whole or not at all: under another name first, which it then trades."""
    description = {
        "format": "gru_native character model 1",
        "cell": model.cell,
        "hidden": model.layer.hidden_size,
        "alphabet": model.alphabet,
    }
    arrays: dict[str, Any] = {"description": json.dumps(description), **model.parameters}
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with unfinished.open("wb") as file:
            np.savez(file, **arrays)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def load(path: Path) -> CharacterModel:
    """The model that ``save`` has written."""
    with np.load(path) as file:
        description = json.loads(str(file["description"]))
        model = CharacterModel(
            description["cell"], description["hidden"], description["alphabet"], seed=0
        )
        with model.editing() as parameters:
            for name, w in parameters.items():
                w[...] = file[name]
    return model
