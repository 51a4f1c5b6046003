"""Keras's files, read without Keras: what is in them, and every way in which they can be wrong."""

import json
import shutil
import zipfile

import numpy as np
import pytest

from gru_native.keras import from_keras, load, load_weights
from helpers import assert_same_bits, run_python
from keras_models import (
    assert_same_output,
    assert_same_weights,
    double,  # noqa: F401  a fixture of every test here
    draw_weights,
    keras,
)

h5py = pytest.importorskip("h5py")
L = keras.layers
CONFIG, WEIGHTS = "config.json", "model.weights.h5"


def make_model():
    """Every class of layer, most of them twice, so that the numbers of the groups count."""
    return keras.Sequential(
        [
            keras.Input((None, 5)),
            L.Masking(0.5, name="first"),
            L.Bidirectional(L.LSTM(3, return_sequences=True), merge_mode="mul", name="both"),
            L.RNN([L.GRUCell(4), L.LSTMCell(2), L.GRUCell(3)], return_sequences=True),
            L.RNN(L.SimpleRNNCell(4), return_sequences=True, name="plain"),
            L.LSTM(3, return_sequences=True, go_backwards=True, name="first_lstm"),
            L.TimeDistributed(L.Dense(4, activation="relu")),
            L.Dropout(0.3),
            L.GRU(4, return_sequences=True, reset_after=False),
            L.LSTM(3, return_sequences=True, use_bias=False, name="second_lstm"),
            L.Bidirectional(
                L.GRU(2), backward_layer=L.LSTM(2, go_backwards=True), merge_mode="sum"
            ),
            L.Dense(3, activation="softmax"),
            L.Dense(2, use_bias=False),
        ]
    )


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A folder with both files of a model, x, and the model itself."""
    folder = tmp_path_factory.mktemp("keras")
    rng = np.random.default_rng(41)
    model = draw_weights(make_model(), rng)
    x = rng.standard_normal((3, 6, 5))
    x[0, 2:4] = x[1, :3] = x[2, 4:] = 0.5
    model.save(folder / "model.keras")
    model.save_weights(folder / "model.weights.h5")
    np.save(folder / "x.npy", x)
    np.save(folder / "y.npy", from_keras(model)(x))
    return folder, x, model


def test_a_keras_file(saved):
    folder, x, model = saved
    ours = load(folder / "model.keras")
    assert_same_weights(ours.get_weights(), model.get_weights())
    assert_same_bits(ours(x), from_keras(model)(x))
    assert_same_output(ours(x), model(x), "float64")


def test_a_weights_file_with_its_config(saved):
    folder, x, model = saved
    for config in (model.to_json(), json.loads(model.to_json())):
        ours = load(folder / "model.weights.h5", config)
        assert_same_weights(ours.get_weights(), model.get_weights())
        assert_same_bits(ours(x), from_keras(model)(x))


@pytest.mark.parametrize("name", ["model.keras", "model.weights.h5"])
def test_load_weights_into_a_model(saved, name):
    folder, x, model = saved
    ours = from_keras(draw_weights(make_model(), np.random.default_rng(42)))
    assert abs(ours(x) - from_keras(model)(x)).max() > 1e-3
    load_weights(ours, folder / name)
    assert_same_bits(ours(x), from_keras(model)(x))


def test_float32(tmp_path):
    model = keras.Sequential([keras.Input((None, 3), dtype="float32"), L.GRU(4, dtype="float32")])
    model.save(tmp_path / "m.keras")
    ours = load(tmp_path / "m.keras")
    assert ours.layers[0].layer.dtype == np.float32
    assert_same_weights(ours.get_weights(), model.get_weights())


def test_a_functional_model(tmp_path):
    start = keras.Input((None, 4))
    h = L.Bidirectional(L.LSTM(3, return_sequences=True))(L.Masking()(start))
    model = keras.Model(start, L.Dense(2)(L.LSTM(3)(h)))
    draw_weights(model, np.random.default_rng(43)).save(tmp_path / "m.keras")
    x = np.random.default_rng(44).standard_normal((3, 5, 4))
    x[0, 1:3] = 0
    assert_same_output(load(tmp_path / "m.keras")(x), model(x), "float64")


def test_neither_keras_nor_torch_is_needed(saved):
    folder, _, _ = saved
    code = (
        "import sys; sys.modules.update(keras=None, torch=None, tensorflow=None, jax=None)\n"
        "import numpy as np; from gru_native.keras import load\n"
        "folder = sys.argv[1]; y = load(folder + '/model.keras')(np.load(folder + '/x.npy'))\n"
        "assert y.tobytes() == np.load(folder + '/y.npy').tobytes()\n"
    )
    done = run_python(code, folder)
    assert done.returncode == 0, done.stderr


def test_without_h5py_it_says_how_to_install_it(saved, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(ImportError, match=r"pip install \"gru-native\[keras\]\""):
        load(saved[0] / "model.keras")


def test_arguments_are_checked(saved, tmp_path):
    folder, _, model = saved
    with pytest.raises(ValueError, match=r"model\.weights\.h5: has weights only; expected config="):
        load(folder / "model.weights.h5")
    with pytest.raises(ValueError, match=r"model\.keras: has a config of its own"):
        load(folder / "model.keras", model.to_json())
    with pytest.raises(TypeError, match="config is a int"):
        load(folder / "model.weights.h5", 3)
    with pytest.raises(TypeError, match="model is a Sequential"):
        load_weights(model, folder / "model.keras")
    with h5py.File(tmp_path / "old.h5", "w") as file:
        file.create_group("model_weights")
    with pytest.raises(ValueError, match=r"old\.h5: has the format of Keras 2"):
        load(tmp_path / "old.h5", model.to_json())
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "absent.keras")
    (tmp_path / "text.keras").write_text("no such thing")
    with pytest.raises(ValueError, match=r"text\.keras: is neither a \.keras file nor"):
        load(tmp_path / "text.keras")


# --- tensors that are not as they should be


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


# --- configs that are not as they should be


def layer_of(config, name):
    return next(o for o in config["config"]["layers"] if o["config"]["name"] == name)


def set_option(name, option, value):
    def change(config):
        layer_of(config, name)["config"][option] = value

    return change


def deep(config):
    inner = layer_of(config, "first_lstm")["config"]
    inner["dtype"] = {"config": {"name": {"config": {"name": "float64"}}}}


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (set_option("first_lstm", "units", 2**62), "layer 'first_lstm': units is 46116"),
        (set_option("first_lstm", "units", 2**39), r"vars/0 \(kernel\) has shape \(4, 12\)"),
        (set_option("first_lstm", "units", 0), "units is 0; expected a whole number from 1"),
        (set_option("first_lstm", "units", "3"), "units is '3'"),
        (set_option("first_lstm", "units", True), "units is True"),
        (set_option("first_lstm", "units", None), "units is None"),
        (set_option("first", "mask_value", None), "mask_value is None"),
        (set_option("first_lstm", "units", 4), r"kernel\) has shape .*expected \(any, 16\)"),
        (set_option("first_lstm", "use_bias", "no"), "use_bias is 'no'; expected true or false"),
        (set_option("first_lstm", "use_bias", False), "has 3 tensors; expected 2"),
        (set_option("second_lstm", "use_bias", True), r"vars/2 \(bias\) is missing"),
        (set_option("first_lstm", "activation", {"class_name": "Evil"}), "activation is a 'Evil'"),
        (set_option("first_lstm", "activation", 3), "activation is 3; expected an activation"),
        (set_option("first_lstm", "activation", "os.system"), "activation is 'os.system'"),
        (set_option("first_lstm", "dropout", "x"), "dropout is 'x'; expected a number"),
        (set_option("first_lstm", "dtype", "float16"), "dtype is 'float16'"),
        (set_option("first_lstm", "stateful", True), "stateful is True; expected none"),
        (set_option("first", "mask_value", [1]), r"layer 'first': mask_value is \[1\]"),
        (set_option("plain", "cell", None), "layer 'plain': cell is no configuration"),
        (set_option("plain", "cell", {"class_name": "X", "config": {}}), "has a cell of class X"),
        (set_option("both", "merge_mode", "max"), "merge_mode is 'max'"),
        (set_option("both", "merge_mode", {}), "merge_mode is {}"),
        (deep, "dtype is"),
        (lambda c: layer_of(c, "first_lstm").update(class_name="Lambda"), "is a Lambda; expected"),
        (lambda c: layer_of(c, "first_lstm").update(class_name=[1]), r"class_name \[1\]"),
        (lambda c: layer_of(c, "first_lstm").update(module="os"), "is no class of Keras's own"),
        (lambda c: layer_of(c, "first_lstm").update(registered_name="a>LSTM"), "no class of Ker"),
        (lambda c: layer_of(c, "first_lstm").update(config=3), "is no configuration"),
        (lambda c: c["config"].update(layers=[]), "layers is no list of layers"),
        (lambda c: c["config"].update(layers={}), "layers is no list of layers"),
        (lambda c: c["config"]["layers"].append(c), "a Sequential inside a model"),
        (lambda c: c["config"]["layers"].insert(3, dict(c["config"]["layers"][0])), "InputLayer"),
        (lambda c: c.clear(), "config is no configuration of a Keras object"),
    ],
)
def test_a_config_that_is_wrong_is_named(saved, change, text):
    folder, _, model = saved
    config = json.loads(model.to_json())
    if change.__name__ == "<lambda>" and text.startswith("a Sequential"):
        config["config"]["layers"].append(json.loads(model.to_json()))
    else:
        change(config)
    with pytest.raises(ValueError, match=text):
        load(folder / "model.weights.h5", config)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "3", "null", '{"config": 1}', "[" * 100_000, "\ufeff{}", '"x"']
)
def test_a_config_that_is_no_model(saved, text):
    with pytest.raises(ValueError, match=r"model\.weights\.h5: config"):
        load(saved[0] / "model.weights.h5", text)


# --- zip files


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
