"""What is said in two places is the same in both: versions, scripts, the changelog's release."""

import re

from builds import ROOT


def text(name):
    return (ROOT / name).read_text("utf-8")


def test_versions_of_the_formatters():
    pinned = dict(re.findall(r'"([\w-]+)==([\d.]+)"', text("noxfile.py")))
    hooks = re.findall(
        r"/(?:mirrors-)?(ruff|clang-format)\S*\n +rev: v(\S+)", text(".pre-commit-config.yaml")
    )
    assert len(hooks) == 2
    for name, version in hooks:
        assert pinned[name] == version


def test_version_of_the_package():
    """It is written in version.h; what cannot read it there says the same."""
    header = text("cpp/include/gru_native/version.h")
    (version,) = re.findall(r'^#define GRU_NATIVE_VERSION "(\S+)"', header, re.MULTILINE)
    assert f"version: {version}\n" in text("CITATION.cff")
    assert text("CHANGELOG.md").startswith(f"# Changelog\n\n## {version}")


def test_both_ci_call_the_same_scripts():
    scripts = {path.name for path in (ROOT / ".ci").iterdir()} - {"run"}
    called = set(re.findall(r"\.ci/([\w-]+)", text(".ci/run")))
    assert called == scripts
    workflows = "".join(p.read_text() for p in (ROOT / ".github/workflows").glob("*.yml"))
    assert set(re.findall(r"\.ci/([\w-]+)", workflows)) == scripts
    presets = set(re.findall(r'"configurePreset": "(\w+)"', text("CMakePresets.json")))
    (matrix,) = re.findall(r"preset: \[(.*)\]", workflows)
    assert set(matrix.split(", ")) <= presets


def test_readmes_test_command_is_found():
    """As .ci/readme looks for it."""
    commands = re.findall(
        r"^ +python -m pip install .* && python -m pytest$", text("README.md"), re.M
    )
    assert len(commands) == 1
