"""Loads the instrumented core before anything imports another.

cmake --preset count && cmake --build --preset count && ctest --preset count
"""

import importlib.util
import os
import sys

if core := os.environ.get("GRU_NATIVE_COUNTING_CORE"):
    assert "gru_native" not in sys.modules, "the instrumented core must be loaded before any other"
    spec = importlib.util.spec_from_file_location("gru_native._core", core)
    sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules[spec.name])
