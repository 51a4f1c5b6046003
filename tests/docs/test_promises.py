"""docs/promises.md: each promise names a test, and there is one of that name."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/promises.md").read_text(encoding="utf-8")
ROWS = re.findall(
    r"^\| (?!promise|command|---)(.+) \| (.+) \|$", PAGE.split("## How often")[0], re.M
)


def test_there_are_promises():
    sections = re.findall(r"^## (.+)$", PAGE, re.M)
    wanted = {"Numbers", "Bits", "Threads", "Fork", "Memory", "Files", "Errors", "Commands"}
    assert wanted <= set(sections)
    assert len(ROWS) > 30


@pytest.mark.parametrize(("promise", "tests"), ROWS, ids=[row[0][:40] for row in ROWS])
def test_every_promise_names_tests_that_exist(promise, tests):
    paths = re.findall(r"`([\w./]+/[\w./]*)`", tests)
    assert paths, promise
    for path in paths:
        place = ROOT / path
        assert place.exists(), path
        if place.name.startswith("test_"):
            assert "def test_" in place.read_text(encoding="utf-8"), path
        assert path.startswith(("tests/", "cpp/tests/")), path


def test_the_commands_are_there():
    for script in re.findall(r"`python (tests/\S+)", PAGE):
        assert (ROOT / script).is_file(), script
