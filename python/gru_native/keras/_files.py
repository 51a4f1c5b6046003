"""Keras's files, read without Keras.

They are .keras (a zip with JSON and HDF5), .weights.h5 (HDF5), and the .h5 of Keras 2 (_legacy.py).
"""

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

from .. import _core
from ._config import Entry
from ._hdf5 import BROKEN, H5Source
from ._legacy import Legacy
from ._source import take
from .layers import Layer, build
from .layers.base import Composite

PathLike: TypeAlias = str | os.PathLike[str]

CONFIG, WEIGHTS, METADATA = "config.json", "model.weights.h5", "metadata.json"
_MOST_CONFIG = 16 << 20
# Keras stores members as they are. One that was compressed may grow so much, and a little more.
_MOST_GROWTH = 100
_ZIP, _HDF5 = b"PK\x03\x04", b"\x89HDF\r\n\x1a\n"


def load(path: PathLike, config: str | Mapping[str, Any] | None = None) -> Layer:
    """Read the model in a file of Keras 3 or 2: ``.keras``, ``.weights.h5`` or ``.h5``.

    This needs h5py (extra ``keras``), but neither Keras nor a back end. Nothing in the file is
    executed. What Keras 2 has saved is computed as Keras 2 did, which Keras 3 does not always:
    ``hard_sigmoid`` is another function there, and ``time_major`` is gone. CuDNNLSTM and CuDNNGRU
    are read as the LSTM and GRU that they are.

    Parameters
    ----------
    path : str or path_like
        The file.
    config : str or mapping, optional
        What ``model.to_json()`` returned, as text or parsed. A file of ``save_weights``, which has
        only numbers, needs it; that of a model has its own.

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
        raise TypeError(f"config is {_core.a_type(config)}; expected JSON, or a dictionary")
    with _named(path), _opened(path) as (source, inside, version):
        if inside is not None and config is not None:
            raise ValueError("has a config of its own; expected none beside it")
        if inside is None and config is None:
            raise ValueError("has weights only; expected config=model.to_json() with it")
        known = inside if inside is not None else config
        parsed = _parse(known) if isinstance(known, (str, bytes)) else known
        if config is not None and isinstance(parsed, Mapping):
            version = parsed.get("keras_version", version)
        model = build(Entry(parsed, "config", _keras_2(version)), source)
        source.close()
        _check_frozen(model, source)
        return model


def load_weights(model: Layer, path: PathLike) -> None:
    """Set the weights of a layer or model from a file, as ``model.load_weights`` of Keras does.

    Parameters
    ----------
    model : Layer
        What ``from_keras`` or ``load`` made.
    path : str or path_like
        A ``.weights.h5``, ``.keras`` or ``.h5`` file of the same architecture.

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
        raise TypeError(f"model is {_core.a_type(model)}; expected what from_keras or load makes")
    with _named(path), _opened(path) as (source, _, _):
        _check_frozen(model, source)
        arrays = [
            take(source, where, name, own.shape, str(own.dtype))
            for where, name, own in model._named()
        ]
        source.close()
    model._set(arrays)


def _check_frozen(model: Layer, source: H5Source | Legacy) -> None:
    """ValueError where Legacy takes weights in another order than they have.

    A model as a layer has those of frozen layers behind all others.
    """
    if not isinstance(source, Legacy) or not isinstance(model, Composite):
        return
    for layer in model.layers:
        leaves = [leaf for leaf in layer._leaves() if leaf.num_parameters]
        frozen = [leaf for leaf in leaves if leaf._frozen]
        if 0 < len(frozen) < len(leaves):
            raise ValueError(
                f"layer {frozen[0].name!r} is not trainable, but others of model {layer.name!r} "
                "are; expected all of them or none in this format, or a .keras file"
            )


@contextmanager
def _named(path: PathLike) -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{os.fspath(path)}: {error}") from error


@contextmanager
def _opened(path: PathLike) -> Iterator[tuple[H5Source | Legacy, str | bytes | None, Any]]:
    """The tensors of a file, its config if it has one, and the version of Keras if it says so."""
    h5py = _h5py()
    _core.check_regular(path)
    with Path(path).open("rb") as file:
        start = file.read(8)
        file.seek(0)
        config: str | bytes | None = None
        version: Any = None
        data: BinaryIO = file
        if start.startswith(_ZIP):
            config, data, version = _unzip(file)
        elif start != _HDF5:
            raise ValueError("is neither a .keras file nor one of HDF5")
        try:
            h5 = h5py.File(data, "r")
            root = "model_weights" if "model_weights" in h5 else ""
            names = h5[root] if root else h5
            legacy = bool(root) or "layer_names" in h5.attrs or "layer_names0" in h5.attrs
            if legacy:
                config = h5.attrs.get("model_config")
                version = h5.attrs.get("keras_version", names.attrs.get("keras_version", "2"))
        except BROKEN as error:
            raise ValueError(f"the HDF5 file cannot be read: {error}") from error
        try:
            source = H5Source(h5py, h5)
            yield Legacy(source, root) if legacy else source, config, version
        finally:
            h5.close()


def _keras_2(version: Any) -> bool:
    """Whether what has this version computes as Keras 2. Where there is none it is Keras 3."""
    text = version.decode("utf-8", "replace") if isinstance(version, bytes) else str(version)
    if text.startswith("1"):
        raise ValueError(f"is of Keras {text}; expected 2 or 3")
    return text.startswith("2")


def _unzip(file: BinaryIO) -> tuple[bytes, BinaryIO, Any]:
    """Configuration, tensors, and the version of Keras if there is one."""
    try:
        with zipfile.ZipFile(file) as archive:
            names = archive.namelist()
            for name in (CONFIG, WEIGHTS, METADATA):
                if name == METADATA and name not in names:
                    continue
                if names.count(name) != 1:
                    raise ValueError(f"has {names.count(name)} entries {name}; expected one")
                info = archive.getinfo(name)
                if info.file_size > _MOST_GROWTH * info.compress_size + (1 << 20):
                    raise ValueError(f"{name} would grow to {info.file_size} bytes")
                if name != WEIGHTS and info.file_size > _MOST_CONFIG:
                    raise ValueError(f"{name} is larger than {_MOST_CONFIG} bytes")
            metadata = _parse(archive.read(METADATA)) if METADATA in names else None
            version = metadata.get("keras_version") if isinstance(metadata, Mapping) else None
            return archive.read(CONFIG), io.BytesIO(archive.read(WEIGHTS)), version
    except (zipfile.BadZipFile, zlib.error, RuntimeError, EOFError, OSError) as error:
        raise ValueError(f"the zip file cannot be read: {error}") from error


def _parse(text: str | bytes) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"config: {error}") from error


def _h5py() -> Any:
    try:
        return importlib.import_module("h5py")
    except ImportError as error:
        raise ImportError(
            'Keras files need the package h5py: python -m pip install "gru-native[keras]"'
        ) from error
