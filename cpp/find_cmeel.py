"""Print the folder in which a PyPI package of this environment keeps its headers, if any.

python find_cmeel.py cmeel-eigen
"""

import pathlib
import sys

# Package: its folder in site-packages, and something in there by which to know it.
PACKAGES = {
    "cmeel-eigen": ("cmeel.prefix", "share/eigen3/cmake"),
    "pybind11": ("pybind11", "share/cmake/pybind11/pybind11Config.cmake"),
    "nlohmann-json": ("nlohmann_json/include", "nlohmann/json.hpp"),
}

folder, mark = PACKAGES[sys.argv[1]]
for entry in sys.path:
    prefix = pathlib.Path(entry) / folder
    if (prefix / mark).exists():
        print(prefix.as_posix())
        break
