"""Fails if an object compiled for one ISA defines a symbol without that ISA's name in it.

Such a symbol (a template or inline function shared by objects under different -m flags) would be
merged by the linker into one copy, perhaps with instructions that this CPU lacks. Static
initialisers are refused too: they would run before the CPU has been asked what it can do.
"""

import subprocess
import sys

isa, nm, *objects = sys.argv[1:]
defined = 0
bad = []
for path in objects:
    listing = subprocess.run(
        [nm, "-C", "--defined-only", path], check=True, capture_output=True, text=True
    )
    for line in listing.stdout.splitlines():
        kind, name = line.split(maxsplit=2)[1:]
        if name.startswith("_GLOBAL__sub_I"):
            bad.append(f"{path}: static initialiser {name}")
        if kind in "TWVuDBR":  # visible to the linker
            defined += 1
            if f"gru_native::{isa}::" not in name and f"gru_native_eigen_{isa}::" not in name:
                bad.append(f"{path}: {name}")
print(f"{isa}: {defined} symbols, {len(bad)} shared with others")
print("\n".join(bad))
sys.exit(bool(bad) or defined == 0)
