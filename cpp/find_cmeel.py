"""Print the folder under which the PyPI package cmeel-eigen keeps Eigen's CMake files, if any."""

import pathlib
import sys

for entry in sys.path:
    prefix = pathlib.Path(entry) / "cmeel.prefix"
    if (prefix / "share" / "eigen3" / "cmake").is_dir():
        print(prefix.as_posix())
        break
