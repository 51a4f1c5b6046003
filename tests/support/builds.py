"""CMake, ninja and compilers for the tests that build C++."""

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).parents[2]
PYTHON = f"-DPython_EXECUTABLE={sys.executable}"


def run(*command, cwd=ROOT, **variables):
    """The command's output. cmake, ninja, python are those of this environment, active or not."""
    path = sysconfig.get_path("scripts") + os.pathsep + os.environ["PATH"]
    environment = {**os.environ, "PATH": path, **variables}
    done = subprocess.run(
        [str(word) for word in command], cwd=cwd, capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


def release_build():
    """build/release, so that the next time only what has changed is compiled."""
    run("cmake", "--preset", "release", "--fresh", "-GNinja", PYTHON)
    run("cmake", "--build", "--preset", "release")
    return ROOT / "build" / "release"


def build(source, folder, *options, targets=("all",)):
    """Configures a project and builds it."""
    run("cmake", "-S", source, "-B", folder, "-GNinja", *options)
    run("cmake", "--build", folder, "--target", *targets)
