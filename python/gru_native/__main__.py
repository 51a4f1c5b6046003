"""``python -m gru_native``: where the C++ library lies, for build scripts."""

import argparse

from . import __version__, get_cmake_dir, get_include, get_pkgconfig_dir


def main() -> None:
    """Print the folders that were asked for, a line each."""
    parser = argparse.ArgumentParser(
        prog="python -m gru_native",
        description="Where the C++ library that comes with the package lies.",
    )
    parser.add_argument("--version", action="version", version=__version__)
    folders = {
        "includedir": (get_include, "for -I"),
        "cmakedir": (get_cmake_dir, "for -Dgru_native_DIR="),
        "pkgconfigdir": (get_pkgconfig_dir, "for PKG_CONFIG_PATH"),
    }
    for name, (_, use) in folders.items():
        parser.add_argument(f"--{name}", action="append_const", dest="names", const=name, help=use)
    names = parser.parse_args().names
    if not names:
        parser.error("nothing asked for; expected " + ", ".join(f"--{name}" for name in folders))
    for name in names:
        try:
            print(folders[name][0]())
        except FileNotFoundError as error:
            parser.exit(1, f"{parser.prog}: {error}\n")


if __name__ == "__main__":
    main()
