"""`.ci/run` succeeds when every stage does, and fails with the stage that fails.

The stages here are empty scripts.
"""

import os
import shutil
import subprocess

import pytest

from builds import ROOT

RUN = ROOT / ".ci" / "run"
pytestmark = pytest.mark.skipif(
    not RUN.exists() or not shutil.which("bash"), reason="needs .ci/run and bash"
)


def ci_run(folder, fails=""):
    """The exit status and output of `.ci/run` where nothing but the stage `fails` fails, with 3."""
    (folder / ".ci").mkdir()
    (folder / "bin").mkdir()
    shutil.copy(RUN, folder / ".ci" / "run")
    stages = [path.name for path in RUN.parent.iterdir() if path.name != "run"]
    scripts = [folder / ".ci" / name for name in stages]
    scripts += [folder / "bin" / name for name in ("python", "python3")]
    for script in scripts:
        status = 3 if script.name == fails else 0
        script.write_text(f"#!/bin/sh\nexit {status}\n", "utf-8")
        script.chmod(0o755)
    path = f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
    environment = dict(os.environ, PATH=path, TMPDIR=str(folder))
    done = subprocess.run(
        [folder / ".ci" / "run"], env=environment, capture_output=True, text=True, timeout=60
    )
    left = [p for p in folder.iterdir() if p.name not in {".ci", "bin"}]
    assert not left, "the virtual environment stays behind"
    return done.returncode, done.stdout + done.stderr


def test_succeeds_when_every_stage_does(tmp_path):
    status, printed = ci_run(tmp_path)
    assert status == 0, printed
    assert printed.count(": ok after") == RUN.read_text("utf-8").count('\nstage "')


@pytest.mark.parametrize(
    "stage", sorted({p.name for p in RUN.parent.glob("*")} - {"run"} | {"python", "python3"})
)
def test_fails_with_the_stage_that_fails(tmp_path, stage):
    status, printed = ci_run(tmp_path, stage)
    assert status == 3, printed
