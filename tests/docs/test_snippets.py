"""Every Python snippet in the README and in the page on conventions runs by itself."""

import os
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = {
    name: (ROOT / name).read_text("utf-8")
    for name in ("README.md", "python/gru_native/CONVENTIONS.md")
}
SNIPPETS = [
    pytest.param(name, code, id=f"{Path(name).stem}-{section.splitlines()[0]}")
    for name, text in DOCUMENTS.items()
    for section in re.split(r"^## ", text, flags=re.MULTILINE)
    for code in re.findall(r"^```python\n(.*?)^```", section, re.DOTALL | re.MULTILINE)
]


def test_they_are_found():
    for name, text in DOCUMENTS.items():
        found = [snippet for snippet in SNIPPETS if snippet.values[0] == name]
        assert len(found) == text.count("```python") >= 4


@pytest.mark.parametrize(("name", "code"), SNIPPETS)
def test_snippet(name, code, tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", os.environ.get("KERAS_BACKEND", "torch"))
    for package in ("torch", "onnx", "onnxruntime", "keras"):
        if re.search(rf"^import {package}$", code, re.MULTILINE):
            pytest.importorskip(package)
    monkeypatch.chdir(tmp_path)
    exec(compile(code, name, "exec"), {})
