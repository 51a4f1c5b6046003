"""Catalogues of Django and its applications: the same messages in many languages."""

from __future__ import annotations

import ast
import importlib.util
import re
import zlib
from collections.abc import Sequence
from pathlib import Path

PLACEHOLDER = re.compile(r"%\(\w+\)[sd]|%[sd%]|\{\w*\}|<[^>]*>|&\w+;")


def messages(language: str, packages: Sequence[str] = ("django",)) -> dict[str, str]:
    """What the English messages are in this language, the plain ones, without placeholders."""
    files: list[Path] = []
    for name in packages:
        package = None if "." in name else importlib.util.find_spec(name)
        if package is None or package.origin is None:
            raise SystemExit(f"this needs the catalogues of {name}: pip install {name}")
        folder = Path(package.origin).parent
        files += sorted(folder.rglob(f"{language}/LC_MESSAGES/django*.po"))
    found: dict[str, str] = {}
    for file in files:
        for entry in file.read_text("utf-8").split("\n\n"):
            if "#, fuzzy" in entry or "msgid_plural" in entry:
                continue
            english, other = part(entry, "msgid"), part(entry, "msgstr")
            if english and other:
                found[english] = other
    return found


def part(entry: str, name: str) -> str:
    """The text behind msgid or msgstr, in one line."""
    lines = re.search(rf'^{name} ((?:".*"\s*)+)', entry, re.MULTILINE)
    text = "".join(ast.literal_eval(line) for line in lines[1].splitlines()) if lines else ""
    return " ".join(PLACEHOLDER.sub(" ", text).split())


def is_held_out(english: str) -> bool:
    """One message in ten, in all languages and runs."""
    return zlib.crc32(english.encode()) % 10 == 0
