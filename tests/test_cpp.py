"""The C++ tests, one case each, built as users get the library but with every warning an error."""

import json
import os
import platform
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ISAS = ["baseline", "avx2", "avx512"] if platform.machine() in ("x86_64", "AMD64") else ["baseline"]
NAMES = [
    *sorted(source.stem for source in ROOT.glob("cpp/tests/*.cpp")),
    *(f"symbols_{isa}" for isa in ISAS),
    "strace_stream",
]


def run(*command):
    """cmake, ctest and ninja are those of this environment, active or not."""
    path = sysconfig.get_path("scripts") + os.pathsep + os.environ["PATH"]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, env={**os.environ, "PATH": path}
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def built():
    """Built in build/release, so that the next time only what has changed is compiled."""
    python = f"-DPython_EXECUTABLE={sys.executable}"
    run("cmake", "--preset", "release", "--fresh", "-GNinja", python)
    run("cmake", "--build", "--preset", "release")


@pytest.mark.usefixtures("built")
def test_no_test_is_left_out():
    listing = json.loads(run("ctest", "--preset", "release", "--show-only=json-v1"))
    assert sorted(test["name"] for test in listing["tests"]) == sorted(NAMES)


@pytest.mark.usefixtures("built")
@pytest.mark.parametrize("name", NAMES)
def test_cpp(name):
    run("ctest", "--preset", "release", "--tests-regex", f"^{name}$")
