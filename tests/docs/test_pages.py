"""What the pages say of the tree is there: HACKING's answers, paths, links, the picture's files."""

import re

import pytest

from builds import ROOT

PAGES = [
    *(ROOT / f"{name}.md" for name in ("README", "HACKING", "CONTRIBUTING", "bench/README")),
    *sorted((ROOT / "docs").rglob("*.md")),
]
BASES = [ROOT, ROOT / "cpp", ROOT / "cpp/engine", ROOT / "python/gru_native", ROOT / "bench"]
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")


def first_table(text):
    """The rows of a page's first table, as lists of cells."""
    lines = text[text.index("|") :].splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return rows[2 : next(i for i, line in enumerate(lines) if not line.startswith("|"))]


HACKING = first_table((ROOT / "HACKING.md").read_text("utf-8"))


def test_hacking_begins_with_questions():
    assert len(HACKING) >= 8
    assert all(question.endswith("?") for question, _ in HACKING)


@pytest.mark.parametrize(("question", "answer"), HACKING)
def test_hacking_answers(question, answer):
    """`path`: `what is in it`, or several paths."""
    paths, _, words = answer.partition(": ")
    paths = re.findall(r"`([^`]+)`", paths)
    assert paths
    texts = [(ROOT / path).read_text("utf-8") for path in paths]
    for word in re.findall(r"`([^`]+)`", words):
        assert re.search(rf"\b{re.escape(word)}\b", texts[0]), f"{word} is not in {paths[0]}"


EACH = [pytest.param(path, id=str(path.relative_to(ROOT))) for path in PAGES]


@pytest.mark.parametrize("path", EACH)
def test_paths(path):
    """Whatever looks like one of our files or folders is one."""
    text = re.sub(r"^```.*?^```", "", path.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    suffix = r"\.(?:h|cpp|inc|py|pyi|md|txt|toml|yaml|dot)"
    named = re.findall(rf"`([\w.-]+(?:/[\w.-]+)+(?:{suffix}|/))`", text)
    named += re.findall(r"`(?:python |GRU_NATIVE_ISA=\w+ python )(\S+\.py)", text)
    lost = [name for name in named if not any((base / name).exists() for base in BASES)]
    assert lost == []


@pytest.mark.parametrize("path", EACH)
def test_links(path):
    text = re.sub(r"^```\w*\n.*?^```", "", path.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    links = [link for link in LINK.findall(text) if "://" not in link]
    assert [link for link in links if not (path.parent / link).exists()] == []


def test_picture():
    """docs/corridor.svg is drawn from docs/corridor.dot, and both name files that there are."""
    source = (ROOT / "docs/corridor.dot").read_text("utf-8")
    drawn = (ROOT / "docs/corridor.svg").read_text("utf-8")
    named = re.findall(r"\bcpp/[\w/.]+", source.split("digraph")[1])
    assert len(named) >= 9
    for name in named:
        assert (ROOT / name).exists()
        assert name in drawn.replace("&#45;", "-")


@pytest.mark.parametrize("base", ["cpp", "cpp/engine", "python/gru_native"])
def test_every_room_is_shown(base):
    """Each folder of sources stands in the page on architecture."""
    text = (ROOT / "docs/architecture.md").read_text("utf-8")
    rooms = [p.name for p in (ROOT / base).iterdir() if p.is_dir() and any(p.glob("[!_.]*.*"))]
    hidden = {"gru_native.egg-info", "__pycache__"}
    assert [r for r in rooms if f"{r}/" not in text and r not in hidden] == []
