"""The reference has every public name of the package and every public header."""

import ast
import re

import pytest

from builds import ROOT

PACKAGE = ROOT / "python/gru_native"
PARTS = sorted(path.parent.name for path in PACKAGE.glob("[!_]*/__init__.py"))
MODULES = ["gru_native", *(f"gru_native.{part}" for part in PARTS if part != "layers")]
CURRENT_OR_NAME = re.compile(r"^ *\.\. currentmodule:: (\S+)|^ {3}(\w+)$", re.MULTILINE)


def shown():
    """All names in the lists of docs/reference, with their modules."""
    found = set()
    for path in (ROOT / "docs/reference").glob("*.md"):
        module = ""
        for current, name in CURRENT_OR_NAME.findall(path.read_text("utf-8")):
            module = current or module
            found.add(f"{module}.{name}")
    return found


@pytest.mark.parametrize("module", MODULES)
def test_python(module):
    path = ROOT.joinpath("python", *module.split("."), "__init__.py")
    for node in ast.parse(path.read_text("utf-8")).body:
        if isinstance(node, ast.Assign) and node.targets[0].id == "__all__":
            public = [name for name in ast.literal_eval(node.value) if not name.startswith("__")]
    assert public
    names = {f"{module}.{name}" for name in public} - set(MODULES)
    assert names - shown() == set()


def test_cpp():
    pages = (ROOT / "docs/reference/cpp").glob("*.md")
    headers = re.findall(r"^```{doxygenfile} (\S+)$", "".join(p.read_text() for p in pages), re.M)
    public = {path.name for path in (ROOT / "cpp/include/gru_native").glob("*.h")}
    assert sorted(headers) == sorted(public - {"gru_native.h", "export.h"})
