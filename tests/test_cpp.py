"""The C++ tests, one case each, built as users get the library but with every warning an error."""

import json
import platform

import pytest

from builds import ROOT, run

ISAS = ["baseline", "avx2", "avx512"] if platform.machine() in ("x86_64", "AMD64") else ["baseline"]
NAMES = [
    *sorted(source.stem for source in ROOT.glob("cpp/tests/*.cpp")),
    *(f"symbols_{isa}" for isa in ISAS),
]


@pytest.mark.usefixtures("built")
def test_no_test_is_left_out():
    listing = json.loads(run("ctest", "--preset", "release", "--show-only=json-v1"))
    assert sorted(test["name"] for test in listing["tests"]) == sorted(NAMES)


@pytest.mark.usefixtures("built")
@pytest.mark.parametrize("name", NAMES)
def test_cpp(name):
    run("ctest", "--preset", "release", "--tests-regex", f"^{name}$")
