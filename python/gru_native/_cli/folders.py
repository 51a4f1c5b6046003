"""``gru-native --cmakedir`` and its like: where the C++ library lies, for build scripts."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from .. import get_cmake_dir, get_include, get_pkgconfig_dir
from .errors import Failure
from .streams import say

FOLDERS = {
    "includedir": (get_include, "its headers, for -I"),
    "cmakedir": (get_cmake_dir, "its CMake files, for -Dgru_native_DIR="),
    "pkgconfigdir": (get_pkgconfig_dir, "its pkg-config file, for PKG_CONFIG_PATH"),
}


def add_to(parser: argparse.ArgumentParser) -> None:
    """The options, which may be combined."""
    group = parser.add_argument_group(
        "folders", "Print where the C++ library of this package is, a line for each option."
    )
    for name, (_, use) in FOLDERS.items():
        group.add_argument(f"--{name}", action="append_const", dest="folders", const=name, help=use)


def expected() -> str:
    """The options by name, for an error."""
    return ", ".join(f"--{name}" for name in FOLDERS)


def run(names: Sequence[str]) -> int:
    """Print the folders that were asked for. Raises Failure if there is no library."""
    try:
        found = [FOLDERS[name][0]() for name in names]
    except FileNotFoundError as error:
        raise Failure(str(error)) from None
    say(*found)
    return 0
