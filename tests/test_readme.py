"""Every Python snippet in the README runs by itself."""

import re
from pathlib import Path

import pytest

README = (Path(__file__).parents[1] / "README.md").read_text("utf-8")
SNIPPETS = [
    pytest.param(code, id=section.splitlines()[0])
    for section in re.split(r"^## ", README, flags=re.MULTILINE)
    for code in re.findall(r"^```python\n(.*?)^```", section, re.DOTALL | re.MULTILINE)
]


def test_they_are_found():
    assert len(SNIPPETS) == README.count("```python") >= 4


@pytest.mark.parametrize("code", SNIPPETS)
def test_snippet(code, tmp_path, monkeypatch):
    if "import torch" in code:
        pytest.importorskip("torch")
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "README.md", "exec"), {})
