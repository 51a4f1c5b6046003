"""The order of the rooms in cpp/: includes look down, and no two folders look at each other.

Headers may include more than their folder needs, and a compiler would not mind; so this reads the
lines that begin with ``#include "``.
"""

import re
from collections import defaultdict
from pathlib import Path

import pytest

CPP = Path(__file__).parents[2] / "cpp"
INCLUDE = re.compile(r'^\s*#\s*include "([^"]+)"', re.MULTILINE)

# From the top to the ground. A file sees what lies lower, and what lies beside it in its own line.
ORDER = (
    {"bindings", "files"},
    {"losses/vocabulary"},
    {"decoding", "losses", "optim"},
    {"engine/model", "engine/decoder"},
    {"engine/sequence", "engine/tree", "engine/graph", "engine/grconv"},
    {"engine/matrix"},
    {"engine"},
    {"runtime", "spec"},
    {"kernels", "kernels/isa"},
    {"cells"},
    {"simd"},
)
PUBLIC = "include/gru_native"
HEIGHT = {folder: -line for line, folders in enumerate(ORDER) for folder in folders}


def included(file):
    """The project's files that a file includes, each as its folder and name."""
    for name in INCLUDE.findall(file.read_text(encoding="utf-8")):
        root = CPP / "include" if name.startswith("gru_native/") else CPP
        assert (root / name).is_file(), f"{file.relative_to(CPP)} includes {name}: no such file"
        yield str((root / name).parent.relative_to(CPP)), name


def folder_of(file):
    return str(file.parent.relative_to(CPP))


FILES = sorted(
    file
    for file in CPP.rglob("*")
    if file.suffix in {".h", ".cpp", ".inc"}
    and file.relative_to(CPP).parts[0] not in {"tests", "examples"}
)


def test_every_folder_has_its_place():
    assert {folder_of(file) for file in FILES} == {*HEIGHT, PUBLIC}


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(CPP)))
def test_includes_point_down(file):
    here = folder_of(file)
    for folder, name in included(file):
        if folder == PUBLIC:
            continue
        assert here != PUBLIC, f"a public header includes {name}"
        assert folder == here or HEIGHT[folder] <= HEIGHT[here], (
            f"{here}/{file.name} includes {name}: {folder} lies higher than {here}"
        )


def test_no_circle_between_folders():
    seen = defaultdict(set)
    for file in FILES:
        seen[folder_of(file)].update(folder for folder, _ in included(file))
    done = set()

    def visit(folder, path):
        assert folder not in path, " -> ".join([*path[path.index(folder) :], folder])
        if folder in done:
            return
        for other in sorted(seen[folder] - {folder}):
            visit(other, [*path, folder])
        done.add(folder)

    for folder in sorted(seen):
        visit(folder, [])
