"""Files are short enough to read in one sitting; tests share only what is in support."""

import ast
import shutil
import subprocess
from collections import Counter

import pytest

from builds import ROOT

OURS = (".py", ".pyi", ".h", ".c", ".cpp", ".inc", ".cmake")
TESTS = sorted((ROOT / "tests").rglob("test_*.py"))


def tracked():
    """The files that git knows."""
    if not shutil.which("git") or not (ROOT / ".git").exists():
        pytest.skip("needs git and a clone of the repository")
    done = subprocess.run(
        ["git", "-C", ROOT, "ls-files", "-z"], capture_output=True, check=True, text=True
    )
    return [ROOT / name for name in done.stdout.split("\0") if name]


def test_no_file_is_longer_than_400_lines():
    ours = [p for p in tracked() if p.suffix in OURS or p.name == "CMakeLists.txt"]
    ours = [p for p in ours if p.exists()]
    assert len(ours) > 400
    lines = {str(p.relative_to(ROOT)): len(p.read_text("utf-8").splitlines()) for p in ours}
    assert not {name: n for name, n in lines.items() if n > 400}


def test_no_test_imports_from_another():
    """What two need is in tests/support."""
    names = {path.stem for path in TESTS}
    for path in TESTS:
        tree = ast.parse(path.read_text("utf-8"))
        froms = [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
        whole = [
            a.name for node in ast.walk(tree) if isinstance(node, ast.Import) for a in node.names
        ]
        assert not names & {*froms, *whole}, path


def test_names_of_tests_are_unique():
    """pytest imports them by their names alone."""
    assert not [name for name, n in Counter(path.name for path in TESTS).items() if n > 1]


def test_no_folder_of_tests_looks_like_a_package():
    """pytest puts a test's folder first on the path of imports.

    A test beside the folders torch, onnx, keras and ray would make them packages of these names
    where the true ones are not installed.
    """
    packages = ("torch", "onnx", "keras", "ray")
    for folder in {path.parent for path in TESTS} | {ROOT / "tests", ROOT / "tests/support"}:
        assert not [name for name in packages if (folder / name).exists()], folder
