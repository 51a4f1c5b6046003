"""The fenced blocks of Markdown files, and running those of Python."""

import os
import re

import pytest

_HEADING_OR_BLOCK = re.compile(r"^#+ ([^\n]*)|^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)
_OPTIONAL = ("torch", "onnx", "onnxruntime", "keras", "ray")


def blocks(path, language):
    """The heading above each block of this language, and its text."""
    heading = ""
    for title, found, text in _HEADING_OR_BLOCK.findall(path.read_text("utf-8")):
        heading = title or heading
        if found == language:
            yield heading, text


def run_snippet(name, code, folder, monkeypatch):
    """Run a block of Python in an empty folder; skip it if a package that it imports is missing."""
    monkeypatch.setenv("KERAS_BACKEND", os.environ.get("KERAS_BACKEND", "torch"))
    for package in _OPTIONAL:
        if re.search(rf"^import {package}$", code, re.MULTILINE):
            pytest.importorskip(package)
    monkeypatch.chdir(folder)
    exec(compile(code, name, "exec"), {})
