"""Shows that streaming makes no system call: `python strace_stream.py PATH/TO/test_realtime`.

Runs the program under strace twice, for few frames and for very many. Whatever starts and ends the
program is in both counts; what streaming needs would be in the difference. Exit code 77 where
strace is missing or may not trace.
"""

import collections
import os
import re
import shutil
import subprocess
import sys
import tempfile

FEW, MANY = 64, 6_400_000


def calls(program, frames):
    """The name of each system call -> how often it was made, in all threads."""
    with tempfile.NamedTemporaryFile("r") as log:
        # At fixed addresses: how often malloc grows its heap at the start depends on them.
        command = ["setarch", "-R", "strace", "-f", "-o", log.name, program, str(frames)]
        done = subprocess.run(
            command, capture_output=True, text=True, env={**os.environ, "LC_ALL": "C"}
        )
        if done.returncode:
            print(
                f"skipped: {' '.join(command)} ended with {done.returncode}: {done.stderr.strip()}"
            )
            sys.exit(77)
        names = re.findall(r"^\d+ +(\w+)\(", log.read(), re.MULTILINE)
        return collections.Counter(names)


if not shutil.which("strace") or not shutil.which("setarch"):
    print("skipped: there is no strace")
    sys.exit(77)
few, many = calls(sys.argv[1], FEW), calls(sys.argv[1], MANY)
print(f"{FEW} frames: {few.total()} system calls; {MANY} frames: {many.total()}")
extra = {name: many[name] - few[name] for name in {*few, *many} if many[name] != few[name]}
print(f"difference: {extra or 'none'}")
sys.exit(bool(extra) or few.total() == 0)
