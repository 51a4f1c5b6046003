"""Where the C++ library lies that comes with the package: headers, libraries, CMake files."""

from __future__ import annotations

from pathlib import Path

from . import _core

# Beside the compiled module, which in an editable install is not where this file is.
_PREFIX = Path(_core.__file__).parent


def get_include() -> str:
    """Return the folder for ``-I``: C++ then includes ``<gru_native/gru_native.h>``.

    Returns
    -------
    str
        An absolute path.

    Raises
    ------
    FileNotFoundError
        The package runs from a folder where pip has not installed it, so there are no headers.
    """
    return _existing("include", "gru_native/gru_native.h")


def get_cmake_dir() -> str:
    """Return the folder of ``gru_nativeConfig.cmake``, for CMake's ``-Dgru_native_DIR=``.

    Returns
    -------
    str
        An absolute path.

    Raises
    ------
    FileNotFoundError
        The package runs from a folder where pip has not installed it, so there is no library.
    """
    return _existing("lib/cmake/gru_native", "gru_nativeConfig.cmake")


def get_pkgconfig_dir() -> str:
    """Return the folder of ``gru_native.pc``, for ``PKG_CONFIG_PATH``.

    Returns
    -------
    str
        An absolute path.

    Raises
    ------
    FileNotFoundError
        The package runs from a folder where pip has not installed it, so there is no library.
    """
    return _existing("lib/pkgconfig", "gru_native.pc")


def _existing(folder: str, file: str) -> str:
    if not (_PREFIX / folder / file).is_file():
        raise FileNotFoundError(
            f"{_PREFIX / folder} has no {file}: this gru_native was not installed by pip. "
            "Install it (`python -m pip install .`), or the library alone (`cmake --install`)."
        )
    return str(_PREFIX / folder)
