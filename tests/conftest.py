"""Shared by all tests. No import of the core here: the reference is tested without it."""

import shutil

import pytest

import builds


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: takes more than a few seconds")


@pytest.fixture
def threads():
    """gru_native.set_num_threads for the length of one test, in which the number does not adapt."""
    import gru_native

    before = gru_native.get_num_threads(), gru_native.get_adaptive_threads()
    gru_native.set_adaptive_threads(False)
    yield gru_native.set_num_threads
    gru_native.set_num_threads(before[0])
    gru_native.set_adaptive_threads(before[1])


@pytest.fixture(scope="session")
def built():
    """The build tree of the C++ tests."""
    return builds.release_build()


@pytest.fixture(scope="session")
def prefix(built, tmp_path_factory):
    """An installed gru_native, in another folder than where it was installed."""
    folder = tmp_path_factory.mktemp("install")
    builds.run("cmake", "--install", built, "--prefix", folder / "first")
    shutil.move(folder / "first", folder / "moved here")
    return folder / "moved here"


@pytest.fixture(scope="session")
def parent_project(tmp_path_factory):
    """A function: builds a project of which gru_native is a part, in one build tree for all tests.

    It asks for what would hurt the library if it reached it. Returns the folder of the programs.
    """
    source = tmp_path_factory.mktemp("parent")
    (source / "gru_native").symlink_to(builds.ROOT)
    code = "-O2 -march=native -ffast-math -fno-exceptions -fno-rtti"
    eigen = "-DEIGEN_DONT_VECTORIZE -DEIGEN_MAX_ALIGN_BYTES=0"
    options = [
        f"-DCMAKE_CXX_FLAGS={code} {eigen}",
        "-DCMAKE_CXX_STANDARD=20",
        "-DCMAKE_UNITY_BUILD=ON",
        "-DCMAKE_BUILD_TYPE=",
        builds.PYTHON,
    ]

    def build(files, *more, targets=("all",)):
        for name, text in files.items():
            (source / name).write_text(text, encoding="utf-8")
        builds.build(source, source / "build", *options, *more, targets=targets)
        return source / "build"

    return build
