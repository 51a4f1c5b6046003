"""No module imports itself by way of others: at once, in a function, or for types."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def modules(top: Path, package: str) -> dict[str, Path]:
    """The files below a folder by their modules' names; those of a package begin with its name."""
    named = {}
    for path in sorted(top.rglob("*.py*")):
        if path.suffix not in (".py", ".pyi"):  # _core has a stub only
            continue
        parts = (package, *path.relative_to(top).with_suffix("").parts)
        named[".".join(p for p in parts if p and p != "__init__")] = path
    return named


def imports(name: str, path: Path, known: dict[str, Path]) -> Iterator[str]:
    """Those of the known modules that this one names in its import statements."""
    package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            wanted = [(alias.name, "") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            source = ".".join([*above, *([node.module] if node.module else [])])
            wanted = [(source, alias.name) for alias in node.names]
        else:
            continue
        for source, attribute in wanted:
            inner = f"{source}.{attribute}"
            yield from (found for found in [inner if inner in known else source] if found in known)


def circle(graph: dict[str, set[str]]) -> list[str]:
    """A way from a module back to itself, or nothing."""
    done: set[str] = set()

    def search(name: str, way: list[str]) -> list[str]:
        if name in way:
            return [*way[way.index(name) :], name]
        if name in done:
            return []
        found = next((c for c in (search(n, [*way, name]) for n in sorted(graph[name])) if c), [])
        done.add(name)
        return found

    return next((c for c in (search(name, []) for name in graph) if c), [])


@pytest.mark.parametrize(
    ("folder", "package"), [("python/gru_native", "gru_native"), ("bench", "")]
)
def test_no_circle(folder, package):
    known = modules(ROOT / folder, package)
    graph = {name: set(imports(name, path, known)) - {name} for name, path in known.items()}
    assert sum(map(len, graph.values())) > len(graph)
    found = circle(graph)
    assert not found, " -> ".join(found)


def test_a_circle_is_found(tmp_path):
    """Also one that is hidden in a function, or for types only."""
    package = tmp_path / "package"
    (package / "inner").mkdir(parents=True)
    (package / "__init__.py").write_text("from .a import f\n")
    (package / "a.py").write_text("from .inner import b\n\ndef f(): pass\n")
    (package / "inner/__init__.py").write_text("")
    b = package / "inner/b.py"
    for text in (
        "from ..a import f\n",
        "def g():\n    from package import a\n",
        "if False:\n    import package.a\n",
        "from . import c\n",
    ):
        b.write_text(text)
        (package / "inner/c.py").write_text("from .. import a\n")
        known = modules(package, "package")
        graph = {name: set(imports(name, path, known)) for name, path in known.items()}
        assert {"package.a", "package.inner.b"} <= set(circle(graph))
    b.write_text("import os\n")
    assert not circle({**graph, "package.inner.b": set(imports("package.inner.b", b, known))})
