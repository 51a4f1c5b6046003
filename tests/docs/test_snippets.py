"""Every Python snippet of the README and of the pages runs, and every ``gru-native count``."""

import os
import re
import shlex

import pytest

from builds import ROOT
from gru_native._cli import main

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
HEADING_OR_BLOCK = re.compile(r"^#+ ([^\n]*)|^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)


def fenced(wanted):
    """The page with the heading above, and the text, of every block of a language."""
    for path in PAGES:
        heading = ""
        for title, language, code in HEADING_OR_BLOCK.findall(path.read_text("utf-8")):
            heading = title or heading
            if language == wanted:
                name = f"{path.relative_to(ROOT)}: {heading}"
                yield pytest.param(name, code, id=name)


def counting():
    """The commands that need nothing but the package."""
    for name, script in (p.values for p in fenced("sh")):
        for line in script.splitlines():
            if line.startswith("gru-native count "):
                yield pytest.param(line, id=f"{name}: {line[:40]}")


SNIPPETS = list(fenced("python"))


def test_all_are_found():
    written = sum(path.read_text("utf-8").count("```python") for path in PAGES)
    assert len(SNIPPETS) == written >= 15


@pytest.mark.parametrize(("name", "code"), SNIPPETS)
def test_snippet(name, code, tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", os.environ.get("KERAS_BACKEND", "torch"))
    for package in ("torch", "onnx", "onnxruntime", "keras"):
        if re.search(rf"^import {package}$", code, re.MULTILINE):
            pytest.importorskip(package)
    monkeypatch.chdir(tmp_path)
    exec(compile(code, name, "exec"), {})


@pytest.mark.parametrize("command", counting())
def test_command(command, capsys):
    assert main(shlex.split(command)[1:]) == 0
    assert "parameters" in capsys.readouterr().out or "--published" in command
