"""The C++ library as other projects find it: installed, as a part of them, in the package."""

import io
import re
import shutil
import sys
import zipfile
from pathlib import Path

import pytest

import gru_native
from builds import ROOT, build, run

EMBEDDER = ROOT / "cpp" / "tests" / "install" / "embedder"
PROGRAMS = [
    f"{kind}_{library}" for kind in ("plain", "fast_math") for library in ("static", "shared")
]
STANDARD_HEADERS = {
    *(
        "atomic",
        "cstddef",
        "cstdint",
        "exception",
        "functional",
        "limits",
        "memory",
        "optional",
        "stdexcept",
        "string",
    ),
    *("string_view", "type_traits", "variant", "vector"),
    *("stddef.h", "stdint.h"),
}
HEADERS = sorted(path.name for path in ROOT.glob("cpp/include/gru_native/*.h"))


def embedder_options():
    """Where the embedder's own Eigen is, and instructions that this machine has."""
    eigen = run(sys.executable, "cpp/find_cmeel.py", "cmeel-eigen").strip()
    isa = "-mavx2;-mfma" if "avx2" in gru_native.available_isas() else ""
    return ["-DEMBEDDER_EIGEN=ON", f"-DCMAKE_PREFIX_PATH={eigen}", f"-DEMBEDDER_ISA={isa}"]


def configure_options(cmake_dir, shared=False):
    return [f"-Dgru_native_DIR={cmake_dir}", f"-DBUILD_SHARED_LIBS={'ON' if shared else 'OFF'}"]


@pytest.fixture(scope="session")
def embedder(prefix, tmp_path_factory):
    """The embedder's programs, built against the installed library."""
    folder = tmp_path_factory.mktemp("embedder")
    options = configure_options(prefix / "lib/cmake/gru_native")
    build(EMBEDDER, folder, *options, "-DCMAKE_BUILD_TYPE=Release", *embedder_options())
    return folder


@pytest.fixture(scope="session")
def bits(embedder):
    """What every program must print."""
    printed = run(embedder / "plain_static")
    assert len(set(re.findall(r": ([0-9a-f]{16}) y", printed))) == 12, printed
    assert "other bits" not in printed
    return printed


@pytest.mark.parametrize("program", PROGRAMS)
def test_find_package(embedder, bits, program):
    assert run(embedder / program) == bits


def needed_libraries(path):
    return re.findall(r"NEEDED.*\[(.*?)\]", run("readelf", "-d", path))


def test_which_library_a_program_needs(embedder):
    for program in ("plain_static", "default"):
        assert not any("gru_native" in name for name in needed_libraries(embedder / program))
    assert any("gru_native" in name for name in needed_libraries(embedder / "plain_shared"))


def test_build_shared_libs_chooses(prefix, tmp_path, bits):
    options = configure_options(prefix / "lib/cmake/gru_native", shared=True)
    build(EMBEDDER, tmp_path, *options, targets=["default"])
    assert any("gru_native" in name for name in needed_libraries(tmp_path / "default"))
    assert run(tmp_path / "default") == bits


@pytest.mark.parametrize("library", ["static", "shared"])
@pytest.mark.parametrize("eigen", ["wide", "plain"])
def test_beside_another_eigen(embedder, bits, eigen, library):
    """The program fails by itself if its own Eigen is disturbed."""
    assert run(embedder / f"eigen_{eigen}_{library}") == bits


C_PROJECT = """
cmake_minimum_required(VERSION 3.25)
project(c_only LANGUAGES C)
find_package(gru_native REQUIRED)
foreach(kind static shared)
  add_executable(${kind} main.c)
  target_link_libraries(${kind} PRIVATE gru_native::${kind})
endforeach()
"""
C_PROGRAM = """
#include <stdio.h>
int _ZN10gru_native15get_num_threadsEv(void);  /* gru_native::get_num_threads() */
int main(void) { return printf("%d", _ZN10gru_native15get_num_threadsEv()) < 0; }
"""


def test_a_project_without_cpp(prefix, tmp_path):
    (tmp_path / "CMakeLists.txt").write_text(C_PROJECT)
    (tmp_path / "main.c").write_text(C_PROGRAM)
    build(tmp_path, tmp_path / "build", *configure_options(prefix / "lib/cmake/gru_native"))
    for program in ("static", "shared"):
        assert run(tmp_path / "build" / program, GRU_NATIVE_NUM_THREADS="3") == "3"


def symbols(*options):
    return [line.split(maxsplit=2)[2] for line in run("nm", "-C", *options).splitlines()]


def dynamic_symbols(path):
    return symbols("-D", "--defined-only", path)


def test_the_shared_library_exports_gru_native_only(prefix):
    symbols = dynamic_symbols(prefix / "lib/libgru_native.so")
    assert any(name.startswith("gru_native::Layer<float>::Layer(") for name in symbols)
    made = r"(typeinfo|typeinfo name|vtable) for |void |double |std::vector<[^(]*> "
    of = rf"({made})?gru_native::|gru_native_"
    assert [name for name in symbols if not re.match(of, name)] == []


def test_what_the_library_uses_has_names_of_its_own(prefix):
    """A program's own Eigen and nlohmann_json are other functions, whatever the linker keeps."""
    names = run("nm", "-C", "--defined-only", prefix / "lib/libgru_native.a")
    for used in ("gru_native_nlohmann::", "gru_native::baseline::"):
        assert used in names
    assert not re.search(r"\b(nlohmann|Eigen)::", names)


def test_a_plugin_exports_nothing_of_the_library(prefix, embedder):
    plugin = set(dynamic_symbols(embedder / "libplugin.so"))
    assert "main" in plugin
    inline = symbols("--defined-only", embedder / "CMakeFiles/plugin.dir/main.cpp.o")  # its own
    library = dynamic_symbols(prefix / "lib/libgru_native.so")
    assert plugin.intersection(library) <= set(inline)


def test_the_python_module_exports_nothing_of_ours():
    symbols = dynamic_symbols(gru_native._core.__file__)
    assert "PyInit__core" in symbols
    assert [name for name in symbols if name.startswith("gru_native")] == []


def test_no_path_of_this_machine_is_installed(prefix):
    files = [path for path in prefix.rglob("*") if path.is_file()]
    assert len(files) > 10
    here = (str(ROOT), str(prefix.parent), "site-packages")
    for path in files:
        data = path.read_bytes()
        for word in (*here, "Eigen3::", "nlohmann_json::"):
            assert word.encode() not in data, f"{path} holds {word}"


@pytest.mark.parametrize("standard", ["c++17", "c++20"])
@pytest.mark.parametrize("compiler", ["g++", "clang++"])
@pytest.mark.parametrize("header", HEADERS)
def test_each_header_stands_alone(prefix, tmp_path, header, compiler, standard):
    if not shutil.which(compiler):
        pytest.skip(f"{compiler} is not installed")
    source = tmp_path / "alone.cpp"
    # Twice: the guard. The function: an empty translation unit is refused.
    source.write_text(f"#include <gru_native/{header}>\n" * 2 + "int alone() { return 0; }\n")
    flags = "-Wall -Wextra -Wpedantic -Wshadow -Werror -fno-exceptions -fno-rtti -fsyntax-only"
    run(compiler, f"-std={standard}", *flags.split(), "-I", prefix / "include", source)


@pytest.mark.parametrize("header", HEADERS)
def test_headers_include_the_standard_library_only(prefix, header):
    text = (prefix / "include/gru_native" / header).read_text("utf-8")
    included = re.findall(r"^\s*#\s*include\s*(\S+)", text, re.MULTILINE)
    ours = {f'"gru_native/{name}"' for name in HEADERS}
    standard = {f"<{name}>" for name in STANDARD_HEADERS}
    assert set(included) <= ours | standard


@pytest.mark.parametrize("route", ["add_subdirectory", "FetchContent"])
def test_as_a_part_of_another_project(parent_project, bits, route):
    files = {path.name: path.read_text("utf-8") for path in EMBEDDER.iterdir()}
    targets = ["plain_static", "plain_shared", "default"]
    folder = parent_project(files, f"-DROUTE={route}", targets=targets)
    for program in targets:
        assert run(folder / program) == bits
    run("cmake", "--install", folder, "--prefix", folder / "nothing")
    assert not (folder / "nothing").exists()


def pkg_config(folder, *options):
    if not shutil.which("pkg-config"):
        pytest.skip("pkg-config is not installed")
    return run("pkg-config", *options, "gru_native", PKG_CONFIG_PATH=str(folder)).strip()


def compile_with_pkg_config(folder, tmp_path, bits):
    # A shell takes the words apart: the path has a space.
    flags, libraries = pkg_config(folder, "--cflags"), pkg_config(folder, "--libs")
    static = pkg_config(folder, "--libs", "--static").replace("-lgru_native", "-l:libgru_native.a")
    run("sh", "-c", f"c++ -std=c++17 -c {EMBEDDER / 'main.cpp'} {flags}", cwd=tmp_path)
    run("sh", "-c", f"c++ -o shared main.o {libraries}", cwd=tmp_path)
    run("sh", "-c", f"cc -o static main.o {static}", cwd=tmp_path)  # cc: -lstdc++ is named
    assert run(tmp_path / "static") == bits
    assert run(tmp_path / "shared", LD_LIBRARY_PATH=str(folder.parent)) == bits


def test_pkg_config(prefix, tmp_path, bits):
    assert pkg_config(prefix / "lib/pkgconfig", "--modversion") == gru_native.__version__
    compile_with_pkg_config(prefix / "lib/pkgconfig", tmp_path, bits)


# --- from the Python package ----------------------------------------------------------------------


@pytest.fixture
def package():
    """What the package says of itself, `--includedir` and so on: a function."""
    try:
        gru_native.get_cmake_dir()
    except FileNotFoundError as error:
        pytest.skip(str(error))
    return lambda name: run(sys.executable, "-m", "gru_native", f"--{name}dir").strip()


def test_package_with_find_package(package, tmp_path, bits):
    assert package("cmake") == gru_native.get_cmake_dir()
    targets = ["plain_static", "plain_shared"]
    build(EMBEDDER, tmp_path, *configure_options(package("cmake")), targets=targets)
    for program in targets:
        assert run(tmp_path / program) == bits


def test_package_with_pkg_config(package, tmp_path, bits):
    assert package("pkgconfig") == gru_native.get_pkgconfig_dir()
    compile_with_pkg_config(Path(package("pkgconfig")), tmp_path, bits)


def test_package_with_a_compiler_alone(package, tmp_path, bits):
    assert package("include") == gru_native.get_include()
    library = f"{package('cmake')}/../../libgru_native.a"
    command = ["c++", "-std=c++17", "-I", package("include"), EMBEDDER / "main.cpp", library]
    run(*command, "-pthread", "-o", tmp_path / "program")
    assert run(tmp_path / "program") == bits


def test_the_package_is_small(package):
    """As a wheel, which is a zip file, it has less than 12.5 MB."""
    wheel = io.BytesIO()
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as zipped:
        for path in Path(package("cmake")).parents[2].rglob("*.*"):
            if path.is_file() and path.suffix != ".pyc":  # made by pip, in no wheel
                zipped.write(path)
    assert 1e6 < len(wheel.getvalue()) < 12.5e6


def test_a_package_without_the_library_says_so(monkeypatch, tmp_path):
    monkeypatch.setattr(gru_native.installed, "_PREFIX", tmp_path)
    for ask in (gru_native.get_include, gru_native.get_cmake_dir, gru_native.get_pkgconfig_dir):
        with pytest.raises(FileNotFoundError, match="was not installed by pip"):
            ask()
