"""All checks that are not tests: `nox`. To let the formatters write: `nox -s format`."""

import json
import os
from pathlib import Path

import nox

nox.options.sessions = ["lint", "tidy", "types", "docs"]
nox.options.reuse_existing_virtualenvs = True

# Another version of clang-format would format otherwise.
FORMATTERS = ["clang-format==23.1.5", "ruff==0.17.5"]
CPP = [
    str(path)
    for folder in ("cpp", "bench")
    for path in sorted(Path(folder).rglob("*.*"))
    if path.suffix in (".h", ".cpp", ".inc")
]


PROJECT = nox.project.load_toml("pyproject.toml")


@nox.session
def lint(session: nox.Session) -> None:
    """Formatting and linters; whether a forge can read its workflows."""
    session.install(*FORMATTERS, "check-jsonschema==0.39.0")
    session.run("clang-format", "--dry-run", "-Werror", *CPP)
    session.run("ruff", "format", "--check")
    session.run("ruff", "check")
    workflows = map(str, sorted(Path(".github/workflows").glob("*.yml")))
    session.run("check-jsonschema", "--builtin-schema", "vendor.github-workflows", *workflows)


@nox.session
def tidy(session: nox.Session) -> None:
    """clang-tidy over all sources in C++, with the checks of .clang-tidy."""
    session.install("clang-tidy==23.1.4", "cmake", "ninja", *PROJECT["build-system"]["requires"])
    build = "build/tidy"
    options = ("-DGRU_NATIVE_PYTHON=ON", "-DGRU_NATIVE_TESTS=ON", "-DGRU_NATIVE_ISAS=")
    session.run("cmake", "-S", ".", "-B", build, "-GNinja", *options, silent=True)
    commands = json.loads(Path(build, "compile_commands.json").read_text())
    files = sorted({command["file"] for command in commands})
    # What other compilers' warnings are switched off or on by is none of clang-tidy's business.
    session.run("clang-tidy", "-p", build, "--quiet", "--extra-arg=-Wno-everything", *files)


# Set where the environment has the package already: building it again takes minutes.
INSTALLED = "GRU_NATIVE_INSTALLED" in os.environ


@nox.session(venv_backend="none" if INSTALLED else None)
def types(session: nox.Session) -> None:
    """mypy over the package, and its stubs against the compiled module."""
    if INSTALLED:
        session.run("python", "-m", "pip", "install", "mypy==2.4.1")
    else:
        session.install(".[cli]", "mypy==2.4.1")
    session.run("mypy")
    session.run("stubtest", "--mypy-config-file=pyproject.toml", "gru_native._core")


@nox.session(venv_backend="none" if INSTALLED else None)
def docs(session: nox.Session) -> None:
    """The documentation in build/docs; warnings are errors. Doxygen, where it is, adds C++."""
    if INSTALLED:
        wanted = PROJECT["project"]["optional-dependencies"]["docs"]
        session.run("python", "-m", "pip", "install", *wanted)
    else:
        session.install(".[docs]")
    session.run("sphinx-build", "-W", "--keep-going", "-E", "docs", "build/docs")


@nox.session
def format(session: nox.Session) -> None:
    """Format everything in place."""
    session.install(*FORMATTERS)
    session.run("clang-format", "-i", *CPP)
    session.run("ruff", "format")
    session.run("ruff", "check", "--fix")
