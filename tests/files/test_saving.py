"""What is saved is there as a whole or not at all, whoever else saves, wherever it is to go."""

import errno
import importlib
import os
import re
import socket
import stat
import subprocess
import sys
import threading

import numpy as np
import pytest

import gru_native
from gru_native import Dense
from helpers import run_python, without_rights

pytestmark = pytest.mark.skipif(os.name != "posix", reason="files as POSIX has them")


def save_onnx(model, path):
    pytest.importorskip("onnx")
    importlib.import_module("gru_native.onnx").export(model, path)


@pytest.fixture(params=["safetensors", "onnx"])
def save(request):
    return {"safetensors": gru_native.save, "onnx": save_onnx}[request.param]


def model(value, size=200):
    layer = Dense(size, size, bias=False)
    with layer.editing() as w:
        w["weight"][...] = value
    return layer


def value_of(path):
    """The one number in a saved model."""
    if path.suffix == ".onnx":
        layer = importlib.import_module("gru_native.onnx").load(path).layer()
    else:
        layer = gru_native.load(path)
    numbers = np.unique(layer.weights["weight"])
    assert len(numbers) == 1, f"{len(numbers)} models in one file"
    return numbers[0]


@pytest.fixture
def path(tmp_path, save):
    return tmp_path / ("model.onnx" if save is save_onnx else "model.safetensors")


def test_two_writers_never_show_half_a_file_or_a_mixture(path, save):
    models = [model(value) for value in (1, 2, 3)]
    save(models[0], path)
    done, errors = threading.Event(), []

    def write(own):
        try:
            while not done.is_set():
                save(own, path)
        except BaseException as error:
            errors.append(error)

    writers = [threading.Thread(target=write, args=(own,)) for own in models]
    for writer in writers:
        writer.start()
    try:
        seen = {float(value_of(path)) for _ in range(60)}
    finally:
        done.set()
        for writer in writers:
            writer.join()
    assert not errors
    assert seen <= {1, 2, 3}
    assert os.listdir(path.parent) == [path.name]


def test_writers_in_other_processes(tmp_path):
    path = tmp_path / "model.safetensors"
    gru_native.save(model(0), path)
    code = (
        "import sys, gru_native\n"
        "layer = gru_native.Dense(200, 200, bias=False)\n"
        "with layer.editing() as w: w['weight'][...] = float(sys.argv[2])\n"
        "for _ in range(100): gru_native.save(layer, sys.argv[1])\n"
    )
    writers = [
        subprocess.Popen([sys.executable, "-c", code, str(path), str(value)]) for value in (1, 2)
    ]
    seen = set()
    while any(writer.poll() is None for writer in writers):
        seen.add(float(value_of(path)))
    assert [writer.returncode for writer in writers] == [0, 0]
    assert seen <= {0, 1, 2}
    assert value_of(path) in (1, 2)
    assert os.listdir(tmp_path) == [path.name]


# --- where it goes


def test_a_link_is_followed(path, save):
    folder = path.parent / "elsewhere"
    folder.mkdir()
    target = folder / path.name
    first, second = path.parent / f"first{path.suffix}", path.parent / f"second{path.suffix}"
    second.symlink_to(f"elsewhere/{path.name}")
    first.symlink_to(second)
    for value in (1, 2):  # there is no target at first
        save(model(value), first)
        assert first.is_symlink()
        assert second.is_symlink()
        assert stat.S_ISREG(target.lstat().st_mode)
        assert value_of(target) == value
    assert sorted(os.listdir(path.parent)) == sorted([first.name, second.name, "elsewhere"])


def test_a_link_to_itself(path, save):
    path.symlink_to(path.name)
    with pytest.raises(OSError, match=re.escape(str(path))) as error:
        save(model(1), path)
    assert error.value.errno == errno.ELOOP
    assert path.is_symlink()


@pytest.mark.parametrize("mode", [0o640, 0o600, 0o666, 0o775])
def test_the_mode_is_kept(path, save, mode):
    path.write_bytes(b"old")
    path.chmod(mode)
    save(model(1), path)
    assert stat.S_IMODE(path.stat().st_mode) == mode


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002])
def test_a_new_file_honours_the_umask(path, save, umask):
    before = os.umask(umask)
    try:
        save(model(1), path)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~umask


def test_owner_and_group_are_kept_where_that_is_allowed(path, save):
    path.write_bytes(b"old")
    try:
        os.chown(path, 65534, 65534)
    except PermissionError:
        pytest.skip("only root may give files away")
    save(model(1), path)
    assert (path.stat().st_uid, path.stat().st_gid) == (65534, 65534)


@pytest.mark.parametrize("length", [250, 255])
def test_long_names(path, save, length):
    path = path.with_name("n" * (length - len(path.suffix)) + path.suffix)
    for value in (1, 2):
        save(model(value), path)
    assert value_of(path) == 2
    assert os.listdir(path.parent) == [path.name]


def make_socket(path):
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))


KINDS = {
    "directory": (lambda path: path.mkdir(), "is a directory", IsADirectoryError),
    "pipe": (os.mkfifo, "is a named pipe", OSError),
    "socket": (make_socket, "is a socket", OSError),
    "device": (lambda path: path.symlink_to("/dev/full"), "is a device", OSError),
}


@pytest.mark.parametrize(("make", "text", "kind"), KINDS.values(), ids=KINDS)
def test_what_is_no_regular_file_is_refused(path, save, make, text, kind):
    make(path)
    before = path.lstat()
    with pytest.raises(kind, match=f"{text}; expected a regular file.*{path.name}"):
        save(model(1), path)
    assert path.lstat().st_mode == before.st_mode
    assert path.lstat().st_ino == before.st_ino
    assert os.listdir(path.parent) == [path.name]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("missing/model", FileNotFoundError),
        ("", IsADirectoryError),
        ("model/", OSError),
        ("n" * 256, OSError),
        ("file/model", NotADirectoryError),
    ],
)
def test_impossible_paths(tmp_path, save, name, kind):
    (tmp_path / "file").write_bytes(b"")
    path = f"{tmp_path}/{name}"
    with pytest.raises(kind, match=re.escape(path)):
        save(model(1), path)
    assert os.listdir(tmp_path) == ["file"]


def test_a_zero_byte_in_a_path_is_no_end_of_it(tmp_path, save):
    with pytest.raises(ValueError, match="null"):
        save(model(1), f"{tmp_path}/model\0.safetensors")
    assert os.listdir(tmp_path) == []


@pytest.mark.skipif(os.name == "posix" and os.getuid() != 0, reason="needs root to stop being it")
def test_what_is_write_protected_is_refused(path, save):
    save(model(1), path)
    path.parent.chmod(0o777)
    path.chmod(0o444)
    text = without_rights(path.parent, lambda: save(model(2), path.name))
    assert text == f"PermissionError: [Errno 13] Permission denied: '{path.name}'"
    assert value_of(path) == 1
    assert os.listdir(path.parent) == [path.name]


# --- when it does not fit


FULL = """
import os, resource, sys, gru_native
name, path = sys.argv[1:]
if name == "onnx":
    from gru_native.onnx import export as save
else:
    from gru_native import save
layer = gru_native.Dense(200, 200, bias=False)
with layer.editing() as w: w["weight"][...] = 2
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
try:
    save(layer, path)
except OSError as error:
    print(repr(error.errno), error.filename)
"""


def test_a_file_that_may_not_grow(path, save):
    save(model(1), path)
    name = "onnx" if save is save_onnx else "safetensors"
    done = run_python(FULL, name, path)
    assert done.stdout.split() == [str(errno.EFBIG), str(path)], done.stderr
    assert value_of(path) == 1
    assert os.listdir(path.parent) == [path.name]


def test_a_full_disk(tmp_path, save):
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("only root may mount")
    try:
        path = disk / ("model.onnx" if save is save_onnx else "model.safetensors")
        save(model(1), path)
        with pytest.raises(OSError, match=re.escape(str(path))) as error:
            save(model(2), path)
        assert error.value.errno == errno.ENOSPC
        assert value_of(path) == 1
        assert os.listdir(disk) == [path.name]
    finally:
        subprocess.run(["umount", str(disk)], check=True)
