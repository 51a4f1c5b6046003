"""The C++ section of the README: its program builds and runs in each of the three ways shown."""

import re
import shutil

import pytest

import gru_native
from builds import ROOT, run

SECTION = (ROOT / "README.md").read_text("utf-8").split("\n## In a C++ program\n")[1]
SECTION = SECTION.split("\n## ")[0]


def snippets(language):
    return re.findall(rf"^```{language}\n(.*?)^```", SECTION, re.DOTALL | re.MULTILINE)


(PROGRAM,) = snippets("cpp")
INSTALLED, PART = snippets("cmake")
WITH_CMAKE, WITH_PKG_CONFIG = snippets("sh")


def check(printed):
    """The numbers are those of the Python layer with the same weights."""
    layer = gru_native.GRU(3, 5)
    with layer.editing() as weights:
        for weight in weights.values():
            for i in range(weight.size):
                weight.flat[i] = 0.1 * (i % 7)
    y, _ = layer([[1.0, -2.0, 3.0]])
    numbers = " ".join(f"{value:.3f}" for value in y[0])
    assert printed == f"y = {numbers} on {gru_native.active_isa()}\n"


@pytest.fixture
def installed(prefix, tmp_path):
    """Fills the folders into the commands, where this package was not installed by pip."""

    def fill_in(script):
        try:
            gru_native.get_cmake_dir()
        except FileNotFoundError:
            link = tmp_path / "prefix"  # a path without spaces
            link.symlink_to(prefix)
            for name, folder in [("cmake", "cmake/gru_native"), ("pkgconfig", "pkgconfig")]:
                asked = f"$(python -m gru_native --{name}dir)"
                script = script.replace(asked, str(link / "lib" / folder))
        return script

    return fill_in


def test_installed(installed, tmp_path):
    (tmp_path / "main.cpp").write_text(PROGRAM)
    (tmp_path / "CMakeLists.txt").write_text(INSTALLED)
    run("sh", "-euc", installed(WITH_CMAKE), cwd=tmp_path, CMAKE_GENERATOR="Ninja")
    check(run(tmp_path / "build" / "program"))


def test_as_a_part(parent_project):
    folder = parent_project({"main.cpp": PROGRAM, "CMakeLists.txt": PART}, targets=["program"])
    check(run(folder / "program"))


def test_without_cmake(installed, tmp_path):
    if not shutil.which("pkg-config"):
        pytest.skip("pkg-config is not installed")
    (tmp_path / "main.cpp").write_text(PROGRAM)
    check(run("sh", "-euc", installed(WITH_PKG_CONFIG), cwd=tmp_path))
