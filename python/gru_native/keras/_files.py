"""Keras's files, read without Keras: .keras (a zip with JSON and HDF5) and .weights.h5 (HDF5)."""

from __future__ import annotations

import importlib
import io
import json
import os
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

import numpy as np

from .. import _core
from ..layers._weights import Array
from ._config import Entry
from ._source import take
from .layers import Layer, build

PathLike: TypeAlias = str | os.PathLike[str]

CONFIG, WEIGHTS = "config.json", "model.weights.h5"
_MOST_CONFIG = 16 << 20
# Keras stores members as they are. One that was compressed may grow so much, and a little more.
_MOST_GROWTH = 100
_ZIP, _HDF5 = b"PK\x03\x04", b"\x89HDF\r\n\x1a\n"
_BROKEN = (OSError, RuntimeError, KeyError, TypeError, ValueError, OverflowError, EOFError)


def load(path: PathLike, config: str | Mapping[str, Any] | None = None) -> Layer:
    """Read the model in a ``.keras`` or ``.weights.h5`` file.

    This needs h5py (extra ``keras``), but neither Keras nor a back end. Nothing in the file is
    executed.

    Parameters
    ----------
    path : str or path_like
        The file.
    config : str or mapping, optional
        What ``model.to_json()`` returned, as text or parsed. A ``.weights.h5`` file, which has only
        numbers, needs it; a ``.keras`` file has its own.

    Returns
    -------
    Layer
        An object that is called on arrays, as ``from_keras`` makes it.

    Raises
    ------
    ValueError
        For what cannot be such a model: damaged files, layers that are not known here, tensors that
        are missing, surplus, of other shapes or dtypes, stored in another way than Keras does
        (linked, compressed, elsewhere), NaN or infinite. The text names the file and the layer or
        tensor.
    OSError
        For a file that cannot be read.
    TypeError
        For arguments of the wrong kind.
    ImportError
        Without h5py.
    """
    if config is not None and not isinstance(config, (str, Mapping)):
        raise TypeError(f"config is a {type(config).__name__}; expected JSON, or a dictionary")
    with _named(path), _opened(path) as (source, inside):
        if inside is not None and config is not None:
            raise ValueError("has a config of its own; expected none beside it")
        if inside is None and config is None:
            raise ValueError("has weights only; expected config=model.to_json() with it")
        known = inside if inside is not None else config
        parsed = _parse(known) if isinstance(known, (str, bytes)) else known
        return build(Entry(parsed, "config"), source)


def load_weights(model: Layer, path: PathLike) -> None:
    """Set the weights of a layer or model from a file, as ``model.load_weights`` of Keras does.

    Parameters
    ----------
    model : Layer
        What ``from_keras`` or ``load`` made.
    path : str or path_like
        A ``.weights.h5`` or ``.keras`` file of the same architecture.

    Raises
    ------
    ValueError
        For a file of another model or a damaged one; the text names the file and the tensor, and
        the model is unchanged.
    OSError
        For a file that cannot be read.
    TypeError
        For arguments of the wrong kind.
    ImportError
        Without h5py.
    """
    if not isinstance(model, Layer):
        raise TypeError(
            f"model is a {type(model).__name__}; expected what from_keras or load makes"
        )
    with _named(path), _opened(path) as (source, _):
        arrays = [
            take(source, name, "weights", own.shape, str(own.dtype))
            for name, own in model._tensors()
        ]
    model._set(arrays)


@contextmanager
def _named(path: PathLike) -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{os.fspath(path)}: {error}") from error


@contextmanager
def _opened(path: PathLike) -> Iterator[tuple[H5Source, bytes | None]]:
    """The tensors of a file, and its config if it has one."""
    h5py = _h5py()
    _core.check_regular(path)
    with Path(path).open("rb") as file:
        start = file.read(8)
        file.seek(0)
        config: bytes | None = None
        data: BinaryIO = file
        if start.startswith(_ZIP):
            config, data = _unzip(file)
        elif start != _HDF5:
            raise ValueError("is neither a .keras file nor a .weights.h5 file")
        try:
            h5 = h5py.File(data, "r")
            of_keras_2 = "model_weights" in h5
        except _BROKEN as error:
            raise ValueError(f"the HDF5 file cannot be read: {error}") from error
        try:
            if of_keras_2:
                raise ValueError("has the format of Keras 2; save it again as .keras with Keras 3")
            yield H5Source(h5py, h5), config
        finally:
            h5.close()


def _unzip(file: BinaryIO) -> tuple[bytes, BinaryIO]:
    try:
        with zipfile.ZipFile(file) as archive:
            names = archive.namelist()
            for name in (CONFIG, WEIGHTS):
                if names.count(name) != 1:
                    raise ValueError(f"has {names.count(name)} entries {name}; expected one")
                info = archive.getinfo(name)
                if info.file_size > _MOST_GROWTH * info.compress_size + (1 << 20):
                    raise ValueError(f"{name} would grow to {info.file_size} bytes")
            if archive.getinfo(CONFIG).file_size > _MOST_CONFIG:
                raise ValueError(f"{CONFIG} is larger than {_MOST_CONFIG} bytes")
            return archive.read(CONFIG), io.BytesIO(archive.read(WEIGHTS))
    except (zipfile.BadZipFile, zlib.error, RuntimeError, EOFError, OSError) as error:
        raise ValueError(f"the zip file cannot be read: {error}") from error


def _parse(text: str | bytes) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"config: {error}") from error


class H5Source:
    """Tensors of an open HDF5 file, as Keras writes them and in no other way."""

    def __init__(self, h5py: Any, file: Any) -> None:
        self._h5py, self._file = h5py, file

    def shape(self, path: str, name: str) -> tuple[int, ...]:
        return tuple(int(n) for n in self._dataset(path, name).shape)

    def read(self, path: str, name: str) -> Array:
        dataset = self._dataset(path, name)
        try:
            array = np.asarray(dataset[()])
        except _BROKEN as error:
            raise ValueError(f"tensor {path} ({name}) cannot be read: {error}") from error
        if not np.isfinite(array).all():
            raise ValueError(f"tensor {path} ({name}) holds NaN or infinity")
        return array

    def close_vars(self, path: str, count: int) -> None:
        found = len(self._item(path, "group"))
        if found != count:
            raise ValueError(f"group {path} has {found} tensors; expected {count}")

    def _dataset(self, path: str, name: str) -> Any:
        dataset = self._item(path, name)
        try:
            if not isinstance(dataset, self._h5py.Dataset) or dataset.shape is None:
                raise ValueError("is no dataset")
            if dataset.dtype.kind != "f":
                raise ValueError(f"has dtype {dataset.dtype}; expected float32 or float64")
            if dataset.is_virtual or dataset.external or dataset.chunks:
                raise ValueError("is not stored in one piece in this file, as Keras does")
            if dataset.id.get_storage_size() != dataset.nbytes:
                raise ValueError("is not all there")
        except _BROKEN as error:
            raise ValueError(f"tensor {path} ({name}) {error}") from error
        return dataset

    def _item(self, path: str, name: str) -> Any:
        """What is at this path, without following a link to elsewhere."""
        item = self._file
        for part in path.split("/"):
            try:
                link = item.get(part, getlink=True)
                if link is None:
                    raise KeyError(part)
                if type(link) is not self._h5py.HardLink:
                    raise ValueError("is a link to elsewhere")
                item = item[part]
            except (KeyError, AttributeError) as error:
                raise ValueError(f"tensor {path} ({name}) is missing") from error
            except _BROKEN as error:
                raise ValueError(f"tensor {path} ({name}) {error}") from error
        return item


def _h5py() -> Any:
    try:
        return importlib.import_module("h5py")
    except ImportError as error:
        raise ImportError(
            'Keras files need the package h5py: python -m pip install "gru-native[keras]"'
        ) from error
