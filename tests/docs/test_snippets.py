"""Every Python snippet of the README and of the pages runs, and every ``gru-native count``."""

import shlex

import pytest

from builds import ROOT
from gru_native._cli import main
from snippets import blocks, run_snippet

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def fenced(language):
    """The page with the heading above, and the text, of every block of a language."""
    for path in PAGES:
        for heading, text in blocks(path, language):
            name = f"{path.relative_to(ROOT)}: {heading}"
            yield pytest.param(name, text, id=name)


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
    run_snippet(name, code, tmp_path, monkeypatch)


@pytest.mark.parametrize("command", list(counting()))
def test_command(command, capsys):
    assert main(shlex.split(command)[1:]) == 0
    assert "parameters" in capsys.readouterr().out or "--published" in command
