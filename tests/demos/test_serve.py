"""python/examples/serve.py: each session hears what a stream of its own would say."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("websockets")
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

FOLDER = Path(__file__).parents[2] / "python" / "examples"
sys.path.insert(0, str(FOLDER))
import serve  # noqa: E402


@pytest.fixture(scope="module")
def url():
    command = [sys.executable, FOLDER / "serve.py", "--port", "0", "--capacity", "12"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        yield server.stdout.readline().strip()
        server.terminate()


def frames(numbers, rng):
    made = np.empty(len(numbers), serve.FRAME)
    made["session"] = numbers
    made["audio"] = rng.integers(-(2**15), 2**15, made["audio"].shape)
    return made


def test_each_session_is_a_stream(url):
    model, rng = serve.model(), np.random.default_rng(1)
    streams = [{}, {}]

    def check(numbers, answer, sent, own):
        scores = np.frombuffer(answer, serve.SCORE)
        assert scores["session"].tolist() == numbers
        for frame, score in zip(sent, scores, strict=True):
            stream = own.setdefault(int(frame["session"]), model.stream())
            assert stream(frame["audio"].astype(np.float32) / 32768)[0] == score["speech"]

    with connect(url) as a, connect(url) as b:
        for step in range(20):
            of = [rng.permutation(5)[: rng.integers(1, 6)].tolist() for _ in (a, b)]
            sent = [frames(numbers, rng) for numbers in of]
            for client, message in zip((a, b), sent, strict=True):
                client.send(message.tobytes())
            for client, numbers, message, own in zip((a, b), of, sent, streams, strict=True):
                check(numbers, client.recv(), message, own)
            if step == 10:
                a.send(f"close {of[0][0]}")
                del streams[0][of[0][0]]  # the next frame opens it anew


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ("close 5", "of an open session"),
        ("hello", "expected: close NUMBER"),
        ("close " + "9" * 5000, "of an open session"),
        (b"", "expected frames of 324 bytes"),
        (bytes(325), "expected frames of 324 bytes"),
        (bytes(648), "at most one frame of a session"),
        (frames(range(13), np.random.default_rng(2)).tobytes(), "all sessions are taken"),
    ],
)
def test_wrong_messages_end_the_connection_alone(url, message, said):
    rng = np.random.default_rng(3)
    with connect(url) as other:
        with connect(url) as client:
            client.send(message)
            with pytest.raises(ConnectionClosed, match=said):
                client.recv()
        other.send(frames(range(12), rng).tobytes())  # all twelve are free again
        assert len(other.recv()) == 12 * serve.SCORE.itemsize


def test_load():
    command = [sys.executable, FOLDER / "serve.py", "--load", "10", "--per-connection", "3"]
    out = subprocess.run(
        [*command, "--seconds", "1"], capture_output=True, text=True, check=True, timeout=60
    ).stdout
    found = re.match(r"10 sessions on 4 connections: (\d+) frames a second, median", out)
    assert found, out
    assert 0 < int(found[1]) <= 510
