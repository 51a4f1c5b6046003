"""The command itself: ``gru-native`` and ``python -m gru_native`` are one."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import gru_native
from gru_native._cli import main

FOLDERS = {
    "includedir": ("include", "gru_native/gru_native.h"),
    "cmakedir": ("lib/cmake/gru_native", "gru_nativeConfig.cmake"),
    "pkgconfigdir": ("lib/pkgconfig", "gru_native.pc"),
}


@pytest.fixture
def installed(monkeypatch, tmp_path):
    """A package that has what pip installs."""
    for folder, file in FOLDERS.values():
        (tmp_path / folder / file).parent.mkdir(parents=True)
        (tmp_path / folder / file).touch()
    monkeypatch.setattr(gru_native.installed, "_PREFIX", tmp_path)
    return tmp_path


def python_m(*arguments):
    command = [sys.executable, "-m", "gru_native", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_python_m_gru_native_is_the_command():
    counted = python_m("count", "--cell", "gru", "--input", "3", "--hidden", "4", "--json")
    assert counted.returncode == 0, counted.stderr
    assert '"parameters": 108' in counted.stdout
    assert python_m("--version").stdout == f"gru_native {gru_native.__version__}\n"


def test_help_and_errors_say_what_was_called(capsys):
    assert python_m("--help").stdout.startswith("usage: python -m gru_native [-h]")
    assert python_m("demo", "--help").stdout.startswith("usage: python -m gru_native demo [-h]")
    assert python_m("count").stderr.startswith("python -m gru_native count: --input is missing")
    assert main(["count"]) == 2
    assert capsys.readouterr().err.startswith("gru-native count: --input is missing")
    with pytest.raises(SystemExit):
        main(["--help"])
    assert capsys.readouterr().out.startswith("usage: gru-native [-h]")


def test_folders_in_the_order_asked(installed, capsys):
    for name, (folder, _) in FOLDERS.items():
        assert main([f"--{name}"]) == 0
        assert capsys.readouterr().out == f"{installed / folder}\n"
    assert main(["--cmakedir", "--includedir"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        str(installed / "lib/cmake/gru_native"),
        str(installed / "include"),
    ]


def test_a_package_without_the_library(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(gru_native.installed, "_PREFIX", tmp_path)
    assert main(["--cmakedir"]) == 1
    out, errors = capsys.readouterr()
    assert out == ""
    assert errors.startswith("gru-native: ")
    assert "was not installed by pip" in errors
    assert errors.count("\n") == 1


@pytest.mark.parametrize("arguments", [[], ["--cmakedir", "count", "--input", "3"]], ids=str)
def test_either_a_command_or_folders(capsys, arguments):
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    assert "--cmakedir" in capsys.readouterr().err


# --- standard output and error that cannot be written

PRINTING = (
    ["--help"],
    ["--version"],
    ["count", "--help"],
    ["count", "--input", "3", "--hidden", "4"],
    ["count", "--published", "--csv"],
    ["demo", "--steps", "1", "--hidden", "1", "--out", os.devnull],
)


def python_m_into(stdout, *arguments, **options):
    """What the command says on standard error while its standard output is this one."""
    command = [sys.executable, "-m", "gru_native", *arguments]
    options = {"stderr": subprocess.PIPE, **options}
    return subprocess.run(command, stdout=stdout, text=True, check=False, timeout=60, **options)


@pytest.fixture(params=["buffered", "unbuffered"])
def buffering(request, monkeypatch):
    monkeypatch.setenv("PYTHONUNBUFFERED", "1" if request.param == "unbuffered" else "")


@pytest.mark.parametrize("arguments", PRINTING, ids=" ".join)
def test_a_closed_pipe_ends_a_command_quietly(buffering, arguments):
    reader, writer = os.pipe()
    os.close(reader)
    ended = python_m_into(writer, *arguments)
    os.close(writer)
    assert ended.stderr == ""
    assert ended.returncode == 141  # as a process that SIGPIPE ends


full = pytest.mark.skipif(not Path("/dev/full").exists(), reason="has no /dev/full")


@full
@pytest.mark.parametrize("arguments", PRINTING, ids=" ".join)
def test_a_full_disk_is_said(buffering, arguments):
    with open("/dev/full", "w") as stdout:
        ended = python_m_into(stdout, *arguments)
    assert ended.stderr.endswith(": standard output: No space left on device\n")
    assert ended.stderr.count("\n") == 1
    assert ended.returncode == 1


@full
@pytest.mark.parametrize("arguments", [["count"], ["count", "--input", "x"]], ids=" ".join)
def test_the_status_says_what_standard_error_cannot(buffering, arguments):
    with open("/dev/full", "w") as stderr:
        assert python_m_into(subprocess.PIPE, *arguments, stderr=stderr).returncode == 2
