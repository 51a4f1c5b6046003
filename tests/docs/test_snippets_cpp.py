"""The C++ programs of the guide build and run, the first in each of the ways to link."""

import shutil

import numpy as np
import pytest

import gru_native
from builds import ROOT, run
from snippets import blocks

GUIDE = ROOT / "docs/guide/cpp.md"


def below(heading, language, page=GUIDE):
    return [text for found, text in blocks(page, language) if found == heading]


(PROGRAM,) = below("A first program", "cpp")
(MODEL,) = below("Models and streams", "cpp")
(SESSIONS,) = below("In C++", "cpp", ROOT / "docs/guide/sessions.md")
INSTALLED, PART = below("Linking", "cmake")
WITH_CMAKE, WITH_PKG_CONFIG = below("Linking", "sh")


def test_all_are_found():
    text = GUIDE.read_text("utf-8")
    assert text.count("```cpp") == 2
    assert text.count("```cmake") == 2
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    programs = {p.name: p.read_text("utf-8").count("```cpp") for p in pages}
    assert {name: n for name, n in programs.items() if n} == {"cpp.md": 2, "sessions.md": 1}


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


def test_model_and_stream(installed, tmp_path):
    if not shutil.which("pkg-config"):
        pytest.skip("pkg-config is not installed")
    amp = gru_native.Chain(
        [gru_native.LSTM(1, 16, seed=0), gru_native.Dense(16, 1, activation="tanh", seed=1)]
    )
    gru_native.save(amp, tmp_path / "amp.safetensors")
    (tmp_path / "main.cpp").write_text(MODEL)
    printed = run("sh", "-euc", installed(WITH_PKG_CONFIG), cwd=tmp_path)
    played = np.concatenate([np.zeros(4800), np.full(480, 0.5)]).astype(np.float32)
    y, _ = amp(played[:, None])
    assert printed == f"{y[-1, 0]:.6f}\n"


def test_sessions(installed, tmp_path):
    if not shutil.which("pkg-config"):
        pytest.skip("pkg-config is not installed")
    gru = gru_native.GRU(3, 5, seed=0)
    gru_native.save(gru, tmp_path / "gru.safetensors")
    (tmp_path / "main.cpp").write_text(SESSIONS)
    printed = run("sh", "-euc", installed(WITH_PKG_CONFIG), cwd=tmp_path)
    y, _ = gru(np.array([[[1, -2, 3], [4, 5, -6]]], np.float32))
    assert printed == f"{y[0, 0, 0]:.6f} {y[0, 1, 0]:.6f}\n"
