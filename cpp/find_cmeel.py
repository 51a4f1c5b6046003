"""Print where a package of this Python keeps a C++ library's files, if it is installed.

Without an argument: the folder under which cmeel-eigen keeps Eigen's CMake files. With the argument
`nlohmann`: the include folder of nlohmann-json.
"""

import pathlib
import sys

below, needed = ("cmeel.prefix", "share/eigen3/cmake")
if sys.argv[1:] == ["nlohmann"]:
    below, needed = ("nlohmann_json/include", "nlohmann/json.hpp")
for entry in sys.path:
    folder = pathlib.Path(entry) / below
    if (folder / needed).exists():
        print(folder.as_posix())
        break
