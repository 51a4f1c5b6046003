"""Keras files with wrong tensors, or damaged: errors that name the file and the tensor."""

import shutil
import zipfile

import numpy as np
import pytest

from gru_native.keras import from_keras, load, load_weights
from helpers import assert_same_bits
from keras_models import keras

h5py = pytest.importorskip("h5py")
from keras_saved import CONFIG, WEIGHTS  # noqa: E402

L = keras.layers
KERNEL = "layers/lstm/cell/vars/0"  # of first_lstm
FLAT = np.zeros((4, 12))


def replace(file, value, **options):
    del file[KERNEL]
    file.create_dataset(KERNEL, data=value, **options)


def soft_link(file, folder):
    del file[KERNEL]
    file[KERNEL] = h5py.SoftLink("/layers/lstm_1/cell/vars/0")


def external_link(file, folder):
    del file[KERNEL]
    with h5py.File(folder / "other.h5", "w") as other:
        other["secret"] = FLAT
    file[KERNEL] = h5py.ExternalLink(str(folder / "other.h5"), "secret")


def external_storage(file, folder):
    (folder / "secret").write_bytes(FLAT.tobytes())
    del file[KERNEL]
    file.create_dataset(
        KERNEL, shape=(4, 12), dtype="f8", external=[(str(folder / "secret"), 0, FLAT.nbytes)]
    )


def virtual(file, folder):
    with h5py.File(folder / "other.h5", "w") as other:
        other["secret"] = FLAT
    layout = h5py.VirtualLayout((4, 12), "f8")
    layout[:] = h5py.VirtualSource(str(folder / "other.h5"), "secret", (4, 12))
    del file[KERNEL]
    file.create_virtual_dataset(KERNEL, layout)


def bomb(file, folder):
    del file[KERNEL]
    file.create_dataset(KERNEL, shape=(2**30, 12), dtype="f8", chunks=(1024, 12))


def never_written(file, folder):
    del file[KERNEL]
    file.create_dataset(KERNEL, shape=(4, 12), dtype="f8")


def missing(file, folder):
    del file[KERNEL]


def a_group(file, folder):
    del file[KERNEL]
    file.create_group(KERNEL)


def surplus(file, folder):
    file["layers/lstm/cell/vars/3"] = FLAT


def no_layer(file, folder):
    del file["layers/lstm"]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (missing, "is missing"),
        (no_layer, "is missing"),
        (a_group, "is no dataset"),
        (soft_link, "is a link to elsewhere"),
        (external_link, "is a link to elsewhere"),
        (external_storage, "is not stored in one piece in this file"),
        (virtual, "is not stored in one piece in this file"),
        (bomb, "is not stored in one piece in this file"),
        (never_written, "is not all there"),
        (lambda f, _: replace(f, FLAT, compression="gzip"), "is not stored in one piece"),
        (lambda f, _: replace(f, FLAT[:3]), r"has shape \(3, 12\); expected \(4, 12\)"),
        (lambda f, _: replace(f, FLAT[..., None]), r"has shape \(4, 12, 1\); expected \(4, 12\)"),
        (lambda f, _: replace(f, 1.5), r"has shape \(\); expected"),
        (lambda f, _: replace(f, FLAT.astype("f4")), "has dtype float32; expected float64"),
        (lambda f, _: replace(f, FLAT.astype("i8")), "has dtype int64; expected float32 or"),
        (lambda f, _: replace(f, FLAT * np.nan), "holds NaN or infinity"),
        (lambda f, _: replace(f, "words"), "has dtype object; expected float32 or float64"),
    ],
)
def test_a_tensor_that_is_wrong_is_named(saved, tmp_path, change, text):
    folder, x, model = saved
    path = tmp_path / "model.weights.h5"
    shutil.copy(folder / "model.weights.h5", path)
    with h5py.File(path, "r+") as file:
        change(file, tmp_path)
    ours = load(folder / "model.keras")
    expected = rf"model\.weights\.h5: tensor {KERNEL} \(weights\) .*{text}"
    with pytest.raises(ValueError, match=expected):
        load_weights(ours, path)
    assert_same_bits(ours(x), from_keras(model)(x))
    with pytest.raises(ValueError, match=r"model\.weights\.h5: (tensor|layer 'first_lstm') "):
        load(path, model.to_json())


def test_a_tensor_too_many_is_named(saved, tmp_path):
    folder, _, model = saved
    path = tmp_path / "model.weights.h5"
    shutil.copy(folder / "model.weights.h5", path)
    with h5py.File(path, "r+") as file:
        surplus(file, tmp_path)
    with pytest.raises(ValueError, match="group layers/lstm/cell/vars has 4 tensors; expected 3"):
        load(path, model.to_json())


def rewritten(saved, path, change):
    """model.keras with its members changed: change(name -> bytes)."""
    with zipfile.ZipFile(saved[0] / "model.keras") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    change(members)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def test_a_file_that_was_compressed_is_read(saved, tmp_path):
    path = rewritten(saved, tmp_path / "m.keras", lambda members: None)
    assert_same_bits(load(path)(saved[1]), load(saved[0] / "model.keras")(saved[1]))


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda m: m.pop(CONFIG), r"has 0 entries config\.json"),
        (lambda m: m.pop(WEIGHTS), r"has 0 entries model\.weights\.h5"),
        (lambda m: m.update({WEIGHTS: b""}), "the HDF5 file cannot be read"),
        (lambda m: m.update({WEIGHTS: bytes(1 << 28)}), "would grow to 268435456 bytes"),
        (lambda m: m.update({CONFIG: b" " * (1 << 25)}), "would grow to 33554432 bytes"),
        (lambda m: m.update({CONFIG: b"\xff\xfe\xff"}), "config: "),
    ],
)
def test_a_zip_that_is_wrong(saved, tmp_path, change, text):
    path = rewritten(saved, tmp_path / "m.keras", change)
    with pytest.raises(ValueError, match=text):
        load(path)


@pytest.mark.parametrize("name", ["model.keras", "model.weights.h5"])
def test_a_truncated_file(saved, tmp_path, name):
    folder, _, model = saved
    data = (folder / name).read_bytes()
    config = model.to_json() if name.endswith("h5") else None
    for length in (*range(0, 100, 9), *range(100, len(data), len(data) // 40), len(data) - 1):
        (tmp_path / name).write_bytes(data[:length])
        with pytest.raises(ValueError, match=name):
            load(tmp_path / name, config)


def test_a_damaged_member_is_noticed(saved, tmp_path):
    """The zip's checksums notice any change of a bit."""
    data = bytearray((saved[0] / "model.keras").read_bytes())
    kernel = next(o for o in load(saved[0] / "model.keras").get_weights() if o.size > 20)
    at = data.index(kernel.tobytes()[8:64])
    data[at] ^= 1
    (tmp_path / "m.keras").write_bytes(data)
    with pytest.raises(ValueError, match=r"m\.keras: the zip file cannot be read: Bad CRC-32"):
        load(tmp_path / "m.keras")


def test_a_damaged_header_is_an_error_or_does_no_harm(saved, tmp_path):
    """HDF5 without checksums: any error is a ValueError."""
    folder, x, model = saved
    data, config = (folder / "model.weights.h5").read_bytes(), model.to_json()
    rng = np.random.default_rng(45)
    refused = 0
    for _ in range(50):
        changed = bytearray(data)
        for at in rng.integers(8, 1500, 8):
            changed[at] = rng.integers(256)
        (tmp_path / "m.weights.h5").write_bytes(changed)
        try:
            load(tmp_path / "m.weights.h5", config)(x)
        except ValueError:
            refused += 1
    assert refused > 5
