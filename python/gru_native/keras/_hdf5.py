"""HDF5 files, as Keras writes them and in no other way."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..layers._weights import Array

BROKEN = (OSError, RuntimeError, KeyError, TypeError, ValueError, OverflowError, EOFError)


class H5Source:
    """Tensors of an open HDF5 file, as Keras writes them and in no other way."""

    def __init__(self, h5py: Any, file: Any) -> None:
        self._h5py, self._file = h5py, file

    def called(self, path: str, name: str) -> str:
        return f"{path} ({name})"

    def close(self) -> None:
        """Nothing is left over: each group has been counted."""

    def shape(self, path: str, name: str) -> tuple[int, ...]:
        return tuple(int(n) for n in self._dataset(path, name).shape)

    def read(self, path: str, name: str) -> Array:
        dataset = self._dataset(path, name)
        try:
            array = np.asarray(dataset[()])
        except BROKEN as error:
            raise ValueError(f"tensor {path} ({name}) cannot be read: {error}") from error
        if not np.isfinite(array).all():
            raise ValueError(f"tensor {path} ({name}) holds NaN or infinity")
        return array

    def close_vars(self, path: str, count: int) -> None:
        found = len(self._item(path, "group"))
        if found != count:
            raise ValueError(f"group {path} has {found} tensors; expected {count}")

    def group(self, path: str) -> Any:
        """That of this path; "" is the whole file."""
        item = self._item(path, "group") if path else self._file
        if not isinstance(item, self._h5py.Group):
            raise ValueError(f"{path} is no group")
        return item

    def texts(self, path: str, attribute: str) -> list[str]:
        """A list of texts at a group, which may be cut into several attributes."""
        found = self.group(path).attrs
        try:
            parts = [found[attribute]] if attribute in found else []
            while f"{attribute}{len(parts)}" in found:
                parts.append(found[f"{attribute}{len(parts)}"])
            values = [value for part in parts for value in np.atleast_1d(part).tolist()]
            return [value.decode() if isinstance(value, bytes) else str(value) for value in values]
        except BROKEN as error:
            raise ValueError(f"{attribute} of group {path!r} cannot be read: {error}") from error

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
        except BROKEN as error:
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
            except BROKEN as error:
                raise ValueError(f"tensor {path} ({name}) {error}") from error
        return item
