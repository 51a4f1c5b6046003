"""Where and with what a run was made."""

from __future__ import annotations

import datetime
import os
import platform
from pathlib import Path
from typing import Any

import numpy as np

import gru_native


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or "unknown"
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def cores() -> int:
    """That this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def instruction_set() -> str:
    """Of the float32 kernels: "avx512", also where "avx512+dot" adds products of integers."""
    return gru_native.active_isa().split("+")[0]


def describe(peers: dict[str, str]) -> dict[str, Any]:
    """Machine, versions and date; `peers` are the versions of those that took part."""
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "cpu": _cpu_model(),
        "cores": cores(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "isa": gru_native.active_isa(),
        "versions": {
            "gru_native": getattr(gru_native, "__version__", "unknown"),
            **peers,
            "NumPy": np.__version__,
            "Python": platform.python_version(),
        },
    }


def line(described: dict[str, Any]) -> str:
    """What ``describe`` returns, as a line of text."""
    versions = ", ".join(f"{name} {version}" for name, version in described["versions"].items())
    return (
        f"{described['cpu']}, {described['cores']} cores, {described['isa']}, "
        f"{described['system']}; {versions}; {described['date']}"
    )
