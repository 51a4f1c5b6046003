"""What cannot be loaded is an error at once that says why, also if it changes while it is read."""

import errno
import importlib
import json
import os
import re
import socket
import struct

import numpy as np
import pytest

import gru_native
from gru_native import Dense
from helpers import run_python, without_rights

pytestmark = pytest.mark.skipif(os.name != "posix", reason="files as POSIX has them")

LOAD = {
    "safetensors": "from gru_native import load",
    "onnx": "from gru_native.onnx import load",
    "keras": "from gru_native.keras import load",
}
RUN = """
import sys
{}
try:
    load(sys.argv[1])
except OSError as error:
    print(type(error).__name__, error, sep=": ")
"""


def make_socket(path):
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))


KINDS = {
    "directory": (lambda path: path.mkdir(), "IsADirectoryError: [Errno 21] is a directory"),
    "pipe": (os.mkfifo, "OSError: [Errno 22] is a named pipe"),
    "link_to_pipe": (
        lambda path: (os.mkfifo(f"{path}.pipe"), path.symlink_to(f"{path}.pipe")),
        "OSError: [Errno 22] is a named pipe",
    ),
    "socket": (make_socket, "OSError: [Errno 22] is a socket"),
    "zeros": (lambda path: path.symlink_to("/dev/zero"), "OSError: [Errno 22] is a device"),
    "terminal": (lambda path: path.symlink_to("/dev/tty"), "OSError: [Errno 22] is a device"),
}


@pytest.mark.parametrize("of", LOAD)
@pytest.mark.parametrize(("make", "text"), KINDS.values(), ids=KINDS)
def test_what_is_no_regular_file_is_an_error_at_once(tmp_path, of, make, text):
    if of != "safetensors":
        pytest.importorskip({"onnx": "onnx", "keras": "h5py"}[of])
    path = tmp_path / f"model.{of}"
    make(path)
    done = run_python(RUN.format(LOAD[of]), path, timeout=60)
    assert done.stdout.strip() == f"{text}; expected a regular file: '{path}'", done.stderr


def test_paths(tmp_path):
    no_path = r"path is an int; expected a string or an os\.PathLike"
    with pytest.raises(TypeError, match=no_path):
        gru_native.load(3)
    with pytest.raises(TypeError, match=no_path):
        gru_native.save(Dense(1, 1), 3)
    with pytest.raises(ValueError, match="null"):
        gru_native.load(f"{tmp_path}/model\0")
    loop = tmp_path / "loop"
    loop.symlink_to("loop")
    for path, code in (
        (tmp_path / "missing", errno.ENOENT),
        (loop, errno.ELOOP),
        (tmp_path / ("n" * 256), errno.ENAMETOOLONG),
    ):
        with pytest.raises(OSError, match=re.escape(str(path))) as error:
            gru_native.load(path)
        assert error.value.errno == code
        assert error.value.filename == path or error.value.filename == str(path)


@pytest.mark.parametrize("name", ["a\udcff.safetensors", "ä b.safetensors"])
def test_any_name(tmp_path, name):
    layer = Dense(2, 3, seed=1)
    for path in (f"{tmp_path}/{name}", os.fsencode(f"{tmp_path}/{name}")):
        gru_native.save(layer, path)
        np.testing.assert_array_equal(
            gru_native.load(path).weights["weight"], layer.weights["weight"]
        )
    assert os.listdir(tmp_path) == [name]


@pytest.mark.skipif(os.name == "posix" and os.getuid() != 0, reason="needs root to stop being it")
@pytest.mark.parametrize("of", LOAD)
def test_an_unreadable_file(tmp_path, of):
    if of != "safetensors":
        pytest.importorskip({"onnx": "onnx", "keras": "h5py"}[of])
    load = importlib.import_module(LOAD[of].split()[1]).load
    path = tmp_path / f"model.{of}"
    path.write_bytes(b"x")
    path.chmod(0)
    tmp_path.chmod(0o755)
    text = without_rights(tmp_path, lambda: load(path.name))
    assert text == f"PermissionError: [Errno 13] Permission denied: '{path.name}'"


TRUNCATE = """
import os, sys, threading, time
import gru_native

path = sys.argv[1]
gru_native.save(gru_native.Dense(1000, 5000, seed=1), path)
whole = os.path.getsize(path)
done = threading.Event()

def shorten():
    while not done.is_set():
        os.truncate(path, 0x8000)
        os.truncate(path, whole)
        time.sleep(0.002)

thread = threading.Thread(target=shorten)
thread.start()
results, end = set(), time.monotonic() + 30
while "shortened" not in results and time.monotonic() < end:
    try:
        gru_native.load(path)
        results.add("loaded")
    except ValueError as error:
        results.add("shortened" if "was shortened while it was read" in str(error) else "truncated")
        assert str(error).startswith(path + ": "), error
done.set()
thread.join()
print(*sorted(results))
"""


def test_a_file_that_is_shortened_while_it_is_read(tmp_path):
    """20 MB, so that a load is often in the middle of it: it says what it met, or loads."""
    done = run_python(TRUNCATE, tmp_path / "model.safetensors")
    assert done.returncode == 0, (done.returncode, done.stderr)
    assert set(done.stdout.split()) <= {"loaded", "shortened", "truncated"}


# --- what Python's loader and C++'s did not agree about; tests/fuzz/model_files.py looks for more

WEIGHT = {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]}
BLOCK = {"type": "Dense", "prefix": "", "input_size": 2, "output_size": 2, "bias": False}


def file_of(header, behind=b""):
    text = json.dumps(header).encode() if isinstance(header, dict) else header
    text += behind
    return struct.pack("<Q", len(text)) + text + bytes(16)


def described(version):
    text = json.dumps({"version": 1, "blocks": [BLOCK]}).replace("1,", f"{version},", 1)
    return {"__metadata__": {"gru_native": text}, "weight": WEIGHT}


PLAIN = json.dumps({"weight": WEIGHT}).encode()
CASES = {
    "plain": (file_of(PLAIN), ""),
    "spaces": (file_of(PLAIN, b" \n\t  "), ""),
    "no_metadata": (file_of({"__metadata__": None, "weight": WEIGHT}), ""),
    "metadata_list": (file_of({"__metadata__": [], "weight": WEIGHT}), "__metadata__ that is no"),
    "version": (file_of(described("1")), ""),
    "version_true": (file_of(described("true")), 'version is "true"'),
    "version_float": (file_of(described("1.0")), 'version is "1.0"'),
    "version_text": (file_of(described('"1"')), "version is "),
    "zero_behind": (file_of(PLAIN, b"\0"), "no JSON"),
    "zero_and_more_behind": (file_of(PLAIN, b"\0{}"), "no JSON"),
    "zero_in_description": (file_of(described("1\0")), "no JSON"),
    "text_behind": (file_of(PLAIN, b" x"), "no JSON"),
    "mark_before": (file_of(b"\xef\xbb\xbf" + PLAIN), "no JSON"),
    "nan": (file_of(PLAIN.replace(b"2, 2", b"2, NaN")), "no JSON"),
    "surrogate": (file_of(PLAIN.replace(b"weight", b"\\ud800")), "no JSON"),
}


@pytest.mark.parametrize(("content", "text"), CASES.values(), ids=CASES)
def test_what_only_one_loader_took(tmp_path, content, text):
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    if text:
        with pytest.raises(ValueError, match=f"^{re.escape(str(path))}: .*{re.escape(text)}"):
            gru_native.load(path)
    else:
        gru_native.load(path)
