"""Builds the C++ programs of the benchmark into build/bench, and runs them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parents[1]
BUILD = HERE.parent / "build" / "bench"


class BuildError(Exception):
    """A program could not be built or did not run; says why."""


def _tool(name: str) -> str:
    """cmake or ninja: of this Python's environment if it is there, else of the PATH."""
    here = str(Path(sys.executable).parent)
    found = shutil.which(name, path=os.pathsep.join([here, os.environ.get("PATH", "")]))
    if not found:
        raise BuildError(f"{name} is missing: pip install {name}")
    return found


def _run(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = (done.stdout + done.stderr).strip().splitlines() or ["it printed nothing"]
        reason = next((line for line in lines if "error" in line.lower()), lines[-1])
        raise BuildError(f"{' '.join(command)} failed: {reason.strip()}")
    return done.stdout


def build(*targets: str, settings: Mapping[str, str] | None = None) -> None:
    """Configure if needed, and compile what has changed of these programs, or of the usual ones.

    settings: variables of CMakeLists.txt. Raises BuildError.
    """
    cmake = _tool("cmake")
    variables = [f"-D{name}={value}" for name, value in (settings or {}).items()]
    if variables or not (BUILD / "build.ninja").exists():
        options = [
            *variables,
            "-G",
            "Ninja",
            f"-DCMAKE_MAKE_PROGRAM={_tool('ninja')}",
            f"-DPython_EXECUTABLE={sys.executable}",  # whose cmeel-eigen has Eigen
            "-DCMAKE_BUILD_TYPE=Release",
        ]
        _run([cmake, "-S", str(HERE), "-B", str(BUILD), *options])
    _run([cmake, "--build", str(BUILD), *(["--target", *targets] if targets else [])])


def run(program: str, *arguments: str) -> Any:
    """What a program prints, which is JSON. Raises BuildError."""
    return json.loads(_run([str(BUILD / program), *arguments]))
