"""`gru-native demo NAME`: each system learns something in a few seconds, and leaves its result."""

import ctypes
import importlib.util
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import gru_native
from builds import ROOT
from gru_native._cli import main
from gru_native._cli.systems import SYSTEMS
from programs import NEEDS, example

LEFT = {
    "pronounce": {"encoder.safetensors", "decoder.safetensors"},
    "translate": {
        f"{network}-{part}.safetensors"
        for network in ("grconv", "gru", "gru-and-attention")
        for part in ("reader", "writer")
    }
    | {"grconv-pyramid.npz"},
    "vocabulary": {
        f"{softmax}-{part}.safetensors"
        for softmax in ("all-words", "classes", "tree", "sampled", "noise-contrastive")
        for part in ("gru", "softmax")
    },
    "forecast": {
        f"{method}-{series}.safetensors"
        for method in ("tdnn", "narx", "rnn", "lstm", "gru")
        for series in ("mackey-glass", "temperature")
    },
    "classify": {"last.safetensors", "mean.safetensors"},
    "tag": {"tag.safetensors"},
    "trees": {"trees.npz"},
    "graphs": {"graphs.npz"},
    "gates": {"gates.npz"},
    "reber": {"with-forget-gate.safetensors", "without-forget-gate.safetensors"},
    "acoustic": {f"{kind}.safetensors" for kind in ("dnn", "rnn", "lstm", "lstmp")},
    "recognise": {
        "CTC-1-layer-network.safetensors",
        *(
            f"transducer-after-CTC-{part}.safetensors"
            for part in ("encoder", "prediction", "output")
        ),
    },
    "lips": {"eyes.safetensors", "ears.safetensors", "decoder.safetensors"},
    "cldnn": {"dnn.safetensors", "lstm.safetensors", "cldnn.safetensors"},
}
SPEAKING = {"acoustic", "recognise", "lips", "cldnn"}  # they need espeak-ng


def test_the_list_has_each_program(capsys):
    assert main(["demo", "--list"]) == 0
    names = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    files = (ROOT / "python" / "examples").glob("*.py")
    programs = {file.stem for file in files if "NAME, MINUTES" in file.read_text("utf-8")}
    assert names == ["characters", *SYSTEMS]
    assert programs == {*SYSTEMS}


def test_errors(capsys, tmp_path):
    assert main(["demo", "nothing"]) == 1
    assert "no demo 'nothing'; expected one of characters, " in capsys.readouterr().err
    for name in SYSTEMS:
        example(name)
        with pytest.raises(SystemExit) as stop:
            main(["demo", name, "--minutes", "0", "--out", str(tmp_path / name)])
        assert stop.value.code == 2
        assert "--minutes 0: expected more than 0" in capsys.readouterr().err
        assert not (tmp_path / name).exists()
    file = tmp_path / "file"
    file.touch()
    for option, value, expected in (
        ("--seed", "-1", "expected 0 or more"),
        ("--threads", "0", "expected 1 to 256"),
        ("--out", file, "File exists"),
    ):
        with pytest.raises(SystemExit):
            main(["demo", "trees", option, str(value)])
        assert f"error: {option} {value}: {expected}\n" in capsys.readouterr().err


def test_what_a_run_was_asked_for_is_in_its_result(tmp_path):
    """A program's own options, too, and files by their names."""
    common = importlib.import_module("common")
    seen = []

    def run(options):
        seen.append(options)
        return common.Result(1.0, 2.0, False, [{"method": "none", "error": 1.0}])

    arguments = ["--quick", "--seed", "3", "--text", "a.txt", "--out", str(tmp_path)]
    assert common.main(run, "none", 2.0, arguments, {"--text": {"type": Path}}) == 0
    assert seen[0].own == {"text": Path("a.txt")}
    result = json.loads((tmp_path / "result.json").read_text("utf-8"))
    assert (result["score"], result["baseline"], result["higher_is_better"]) == (1, 2, False)
    asked = {"seed": 3, "threads": None, "minutes": 2, "quick": True, "text": "a.txt"}
    assert result["options"] == {**asked, "out": str(tmp_path)}


def missing(name):
    """What a system needs and this machine has not, or None."""
    for package in NEEDS.get(name, ()):
        if importlib.util.find_spec(package) is None:
            return package
    if name in SPEAKING and example("speech").library() is None:
        return "espeak-ng"
    return None


def run_quickly(name, folder):
    command = [sys.executable, "-m", "gru_native", "demo", name, "--quick", "--threads", "1"]
    command += ["--out", folder]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)


@pytest.fixture(scope="module")
def quick_runs(request, tmp_path_factory):
    """Folder and process of each that this session asks for.

    They train for a time, not for a number of steps: so as many run at once as there are cores.
    """
    items = [item for item in request.session.items if "quick_runs" in item.fixturenames]
    names = [item.callspec.params["name"] for item in items]
    folders = {name: tmp_path_factory.mktemp(name) for name in names if not missing(name)}
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        yield {name: (at, pool.submit(run_quickly, name, at)) for name, at in folders.items()}
        pool.shutdown(cancel_futures=True)


@pytest.mark.slow
@pytest.mark.parametrize("name", SYSTEMS)
def test_it_is_better_than_a_simple_method(name, quick_runs):
    if name not in quick_runs:
        pytest.skip(f"{missing(name)} is not installed")
    folder, run = quick_runs[name]
    done = run.result()
    assert done.returncode == 0, done.stderr
    assert str(folder) in done.stdout
    result = json.loads((folder / "result.json").read_text("utf-8"))
    better = result["score"] > result["baseline"]
    assert better == result["higher_is_better"], result
    assert len(result["table"]) > 1
    left = [path for path in folder.iterdir() if path.suffix in (".safetensors", ".npz")]
    kept = {path.name for path in left if not path.name.startswith("speech-")}  # made again if lost
    assert kept == LEFT[name]
    for file in left:
        if file.suffix == ".safetensors":
            assert gru_native.load(file).num_parameters > 0


def in_c(library, file, x, outputs):
    """The file's model frame by frame, through the C interface."""
    model, stream = ctypes.c_void_p(), ctypes.c_void_p()
    y = np.empty((len(x), outputs), np.float32)
    assert library.gru_native_model_load(str(file).encode(), None, ctypes.byref(model)) == 0
    assert library.gru_native_stream_create(model, ctypes.c_int64(1), 1, ctypes.byref(stream)) == 0
    for row, out in zip(x, y, strict=True):
        pointers = (ctypes.c_void_p(array.ctypes.data) for array in (row, out))
        assert library.gru_native_stream_process(stream, *pointers, ctypes.c_int64(1)) == 0
    library.gru_native_stream_free(stream)
    library.gru_native_model_free(model)
    return y


@pytest.mark.slow
@pytest.mark.parametrize(("name", "streams"), [("acoustic", 3), ("forecast", 6), ("reber", 2)])
def test_its_networks_stream_outside_of_python(name, streams, quick_runs):
    if name not in quick_runs:
        pytest.skip(f"{missing(name)} is not installed")
    core = Path(gru_native._core.__file__).resolve().parent  # installed; in a build's folder
    found = [path for path in (core / "lib", core) if (path / "libgru_native.so").is_file()]
    if not found:
        pytest.skip("the library is not installed")
    library = ctypes.CDLL(str(found[0] / "libgru_native.so"))
    folder, run = quick_runs[name]
    assert run.result().returncode == 0
    rng, done = np.random.default_rng(1), 0
    for file in sorted(folder.glob("*.safetensors")):
        model = gru_native.load(file)
        try:
            stream = model.stream()
        except ValueError:  # it looks ahead
            continue
        x = rng.standard_normal((40, model.input_size), np.float32)
        expected = np.stack([stream(row) for row in x])
        np.testing.assert_array_equal(in_c(library, file, x, expected.shape[1]), expected)
        done += 1
    assert done >= streams
