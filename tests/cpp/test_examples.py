"""cpp/examples: built against the installed library by the guide's commands, and run."""

import re
import struct
import subprocess

import numpy as np
import pytest

import gru_native
from builds import ROOT, run
from helpers import assert_same_bits

SECTION = (ROOT / "docs/guide/cpp.md").read_text("utf-8").split("\n## Examples\n")[1]
(SCRIPT,) = re.findall(r"^```sh\n(.*?)^```", SECTION.split("\n## ")[0], re.DOTALL | re.MULTILINE)
BUILD = "".join(line for line in SCRIPT.splitlines(keepends=True) if line.startswith("cmake "))
RATE, FRAMES = 48000, 5000


@pytest.fixture(scope="module")
def examples(prefix, tmp_path_factory):
    """The folder in which the guide's commands built the programs."""
    folder = tmp_path_factory.mktemp("examples")
    (folder / "cpp").symlink_to(ROOT / "cpp")
    build = BUILD.replace("$(python -m gru_native --cmakedir)", f"{prefix}/lib/cmake/gru_native")
    assert str(prefix) in build
    run("sh", "-euc", build, cwd=folder, CMAKE_GENERATOR="Ninja", CXXFLAGS="-Werror")
    return folder


def refused(*command):
    """What a program that fails says."""
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, check=False)
    assert done.returncode == 1, done
    assert done.stdout == ""
    return done.stderr


def amp():
    return gru_native.Chain([gru_native.LSTM(1, 20, seed=1), gru_native.Dense(20, 1, seed=2)])


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A chain, and the file that holds it."""
    path = tmp_path_factory.mktemp("model") / "amp.safetensors"
    gru_native.save(amp(), path)
    return amp(), path


# --- embed


def chunk(name, content):
    return name + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)


def form(kind, channels, bits, rate=RATE, more=b""):
    width = channels * bits // 8
    fields = struct.pack("<HHIIHH", kind, channels, rate, rate * width, width, bits)
    return chunk(b"fmt ", fields + more)


def riff(*chunks):
    return chunk(b"RIFF", b"WAVE" + b"".join(chunks))


def float_wav(x):
    data = x.astype("<f4").tobytes()
    return riff(form(3, x.shape[1], 32), chunk(b"data", data))


def read_float_wav(path):
    """(frames, channels) of a file that the example wrote."""
    data = path.read_bytes()
    assert data[:4] == b"RIFF"
    assert data[8:12] == b"WAVE"
    assert struct.unpack("<I", data[4:8]) == (len(data) - 8,)
    chunks, at = {}, 12
    while at < len(data):
        name, size = struct.unpack("<4sI", data[at : at + 8])
        chunks[name] = data[at + 8 : at + 8 + size]
        at += 8 + size
    kind, channels, rate, speed, width, bits = struct.unpack("<HHIIHH", chunks[b"fmt "][:16])
    assert (kind, bits, rate, width, speed) == (3, 32, RATE, 4 * channels, RATE * 4 * channels)
    samples = np.frombuffer(chunks[b"data"], "<f4").reshape(-1, channels)
    assert struct.unpack("<I", chunks[b"fact"]) == (len(samples),)
    return samples


def check_embed(examples, model, x, wav, folder, block):
    """The program's output is, bit for bit, what Python's stream and the whole sequence give."""
    chain, path = model
    (folder / "in.wav").write_bytes(wav)
    program = examples / "build/examples/embed/embed"
    printed = run(program, path, folder / "in.wav", folder / "out.wav", *block)
    frames, channels = x.shape
    size = block[0] if block else 64
    begin = f"{frames} frames of {channels} channels in blocks of {size}: "
    found = re.fullmatch(
        rf"{begin}([\d.]+) s of audio in ([\d.]+) s, real-time factor ([\d.]+)\n", printed
    )
    assert found, printed
    audio, taken, factor = map(float, found.groups())
    assert audio == pytest.approx(frames / RATE, abs=1e-3)
    assert factor == pytest.approx(taken / audio, abs=0.01)

    y = read_float_wav(folder / "out.wav")
    whole, _ = chain(x[:, :, None])
    assert_same_bits(y, whole[:, :, 0])
    stream = chain.stream(batch_size=channels)
    streamed = [stream(part[:, :, None]) for part in np.array_split(x, 7)]
    assert_same_bits(y, np.concatenate(streamed)[:, :, 0])
    assert np.abs(y).max() > 0.01


def noise(channels, frames=FRAMES):
    return np.random.default_rng(3).uniform(-1, 1, (frames, channels)).astype(np.float32)


@pytest.mark.parametrize("block", [(), (1,), (63,), (480,), (100_000,)], ids=str)
def test_embed(examples, model, tmp_path, block):
    x = noise(1)
    check_embed(examples, model, x, float_wav(x), tmp_path, block)


def test_embed_takes_channels_for_sequences(examples, model, tmp_path):
    x = noise(3)
    check_embed(examples, model, x, float_wav(x), tmp_path, (50,))


@pytest.mark.parametrize("extensible", [False, True])
def test_embed_16_bit(examples, model, tmp_path, extensible):
    """With chunks that it does not know, one of them of odd length, before and after the data."""
    whole = np.random.default_rng(4).integers(-32768, 32768, (FRAMES, 2)).astype("<i2")
    more = struct.pack("<HHI", 22, 16, 3) + b"\1\0" + bytes(14)
    how = form(0xFFFE, 2, 16, more=more) if extensible else form(1, 2, 16)
    other = chunk(b"LIST", b"abc")
    wav = riff(other, how, other, chunk(b"data", whole.tobytes()), other)
    x = whole.astype(np.float32) / 32768
    check_embed(examples, model, x, wav, tmp_path, (64,))


DATA = chunk(b"data", bytes(8))
WRONG = {
    "empty": (b"", "no WAV file"),
    "other": (b"RIFX" + riff(form(1, 1, 16), DATA)[4:], "no WAV file"),
    "no data": (riff(form(1, 1, 16)), "has no data"),
    "no format": (riff(DATA), "data come before their format"),
    "short format": (riff(chunk(b"fmt ", bytes(15)), DATA), "15 bytes; expected at least 16"),
    "24 bits": (riff(form(1, 1, 24), DATA), "kind 1 with 24 bits; expected"),
    "compressed": (riff(form(85, 1, 16), DATA), "kind 85 with 16 bits; expected"),
    "no channel": (riff(form(3, 0, 32), DATA), "0 channels"),
    "no rate": (riff(form(3, 1, 32, rate=0), DATA), "0 frames a second"),
    "half a frame": (riff(form(3, 3, 32), DATA), "8 bytes, 12 a frame"),
    "truncated": (riff(form(3, 1, 32), DATA)[:-1], "claims 8 bytes, 7 are there"),
    "unknown length": (
        riff(form(3, 1, 32), b"data\xff\xff\xff\xff" + bytes(8)),
        "claims 4294967295 bytes, 8 are there",
    ),
}


@pytest.mark.parametrize(("content", "text"), WRONG.values(), ids=WRONG)
def test_embed_refuses(examples, model, tmp_path, content, text):
    (tmp_path / "in.wav").write_bytes(content)
    program = examples / "build/examples/embed/embed"
    said = refused(program, model[1], tmp_path / "in.wav", tmp_path / "out.wav")
    assert said.startswith(f"embed: {tmp_path}/in.wav: ")
    assert text in said
    assert not (tmp_path / "out.wav").exists()


def test_embed_names_what_is_wrong(examples, model, tmp_path):
    program, wav, out = examples / "build/examples/embed/embed", tmp_path / "in.wav", tmp_path / "o"
    wav.write_bytes(float_wav(noise(1, 10)))
    gru_native.save(gru_native.LSTM(2, 3), tmp_path / "wide")
    assert "expected MODEL IN.wav OUT.wav" in refused(program, model[1])
    assert f"{tmp_path}/none: " in refused(program, tmp_path / "none", wav, out)
    assert f"{wav}: " in refused(program, wav, wav, out)
    assert f"{tmp_path}/none: cannot be read" in refused(program, model[1], tmp_path / "none", out)
    assert "2 inputs and 3 outputs; expected 1 and 1" in refused(
        program, tmp_path / "wide", wav, out
    )
    assert "0 frames a block" in refused(program, model[1], wav, out, 0)
    assert "cannot be written" in refused(program, model[1], wav, tmp_path / "none" / "out.wav")
    run(program, model[1], wav, out)  # and what is right


# --- train_xor


def marked_bits(n, rng):
    """Sequences (12, n, 2) as the example has them, and whether the two marked bits differ."""
    bits = rng.choice([-1.0, 1.0], (12, n))
    marks = np.zeros((12, n))
    answers = np.empty(n, bool)
    for b in range(n):
        first, second = rng.choice(12, 2, replace=False)
        marks[[first, second], b] = 1
        answers[b] = bits[first, b] * bits[second, b] < 0
    return np.stack([bits, marks], axis=2).astype(np.float32), answers


def test_train_xor(examples, tmp_path):
    path = tmp_path / "xor.safetensors"
    printed = run(examples / "build/examples/train_xor/train_xor", path)
    *progress, last = printed.splitlines()
    shown = [re.fullmatch(r"step +\d+: loss [\d.]+, ([\d.]+) % right", line) for line in progress]
    assert len(shown) >= 2
    assert all(shown), printed
    assert float(shown[0][1]) < 70
    assert float(shown[-1][1]) > 95
    assert last.endswith(f"sequences right, saved as {path}")

    loaded = gru_native.load(path)
    assert [type(block).__name__ for block in loaded.blocks] == ["GRU", "Dense"]
    x, answers = marked_bits(3000, np.random.default_rng(5))
    assert 0.4 < answers.mean() < 0.6
    y, _ = loaded(x)
    assert ((y[-1, :, 0] > 0) == answers).mean() > 0.95
    assert len((ROOT / "cpp/examples/train_xor/train_xor.cpp").read_text().splitlines()) < 110


def test_train_xor_says_what_it_expects(examples, tmp_path):
    assert "name of a file" in refused(examples / "build/examples/train_xor/train_xor")


# --- spell


def test_spell(examples, tmp_path):
    """An encoder and a decoder learn to write words backwards, and write the same in C++."""
    rng = np.random.default_rng(0)
    letters = np.eye(6, dtype=np.float32)
    encoder = gru_native.Chain([gru_native.GRU(6, 16, bidirectional=True, seed=0)])
    decoder = gru_native.AttentionDecoder(6, 8, 32, 32, cell="gru", seed=1)
    optimizer = gru_native.optim.Adam([encoder, decoder], lr=0.01)
    for _ in range(150):
        words = rng.integers(1, 6, (4, 32))
        right = np.concatenate([words[::-1], np.zeros((1, 32), int)])
        fed = np.concatenate([np.zeros((1, 32), int), right[:-1]])
        memory, _, encoded = encoder.forward(letters[words])
        logits, _, decoded = decoder.forward(fed, memory)
        _, dlogits = gru_native.losses.cross_entropy(logits, right)
        grads = decoder.backward(decoded, dlogits)
        optimizer.step([encoder.backward(encoded, grads.memory), grads])
    paths = tmp_path / "encoder.safetensors", tmp_path / "decoder.safetensors"
    for model, path in zip((encoder, decoder), paths, strict=True):
        gru_native.save(model, path)

    word = [3, 1, 5, 2]
    memory, _ = encoder(letters[word])
    found = decoder.generate(memory, start=0, end=0, max_steps=100, beam_size=3)
    assert found[0].ids.tolist() == word[::-1]
    program = examples / "build/examples/spell/spell"
    lines = run(program, *paths, 3, *word).splitlines()
    for line, hypothesis in zip(lines[:3], found, strict=True):
        score, *ids = line.split()
        assert [int(i) for i in ids] == hypothesis.ids.tolist()
        assert float(score) == pytest.approx(hypothesis.score, abs=1e-5)
    stream, fed = decoder.stream(memory), 0
    for line, token in zip(lines[3:], word[::-1], strict=True):
        stream(fed)
        fed = token
        assert line == f"{token}: looked at token {np.argmax(stream.attention)}"
    assert "token 9; expected 0 to 5" in refused(program, *paths, 3, 9)
    assert "beam_size is 0" in refused(program, *paths, 0, 1)
    assert "no such file" in refused(program, *paths[:1], tmp_path / "none", 1, 1).lower()


# --- live

LIVE = re.compile(
    r"(?P<blocks>\d+) blocks of 64 frames at 48000 Hz, "
    r"(real-time priority|ordinary priority \(real-time priority: .+\)), (?P<isa>[\w+]+)\n"
    r"deadline 1333.3 us, worst block (?P<worst>[\d.]+) us, 99.9th percentile (?P<most>[\d.]+) us\n"
    r"misses (?P<misses>\d+), real-time factor (?P<factor>[\d.]+)\n"
)


def check_live(printed, seconds):
    """Its form. Times depend on what else the machine does."""
    found = LIVE.fullmatch(printed)
    assert found, printed
    assert int(found["blocks"]) == np.ceil(seconds * RATE / 64)
    assert found["isa"] == gru_native.active_isa()
    assert 0 < float(found["most"]) <= float(found["worst"])
    assert 0 <= int(found["misses"]) <= int(found["blocks"])


def test_live(examples):
    check_live(run(examples / "build/examples/live/live", "--seconds", "1"), 1)


def test_live_with_a_model(examples, tmp_path):
    """Of other widths than one."""
    gru_native.save(gru_native.GRU(3, 10, 2, seed=1), tmp_path / "gru")
    program = examples / "build/examples/live/live"
    check_live(run(program, "--model", tmp_path / "gru", "--seconds", "0.3"), 0.3)


def test_live_names_what_is_wrong(examples, tmp_path):
    program = examples / "build/examples/live/live"
    gru_native.save(gru_native.GRU(1, 2, bidirectional=True), tmp_path / "both")
    assert "--seconds nothing" in refused(program, "--seconds", "nothing")
    assert "--loud" in refused(program, "--loud")
    assert f"{tmp_path}/none: " in refused(program, "--model", tmp_path / "none")
    assert "bidirectional" in refused(program, "--model", tmp_path / "both")


# --- all of them, as the guide has it


def test_guide(examples, model):
    (examples / "amp.safetensors").write_bytes(model[1].read_bytes())
    (examples / "in.wav").write_bytes(float_wav(noise(2)))
    gru_native.save(gru_native.GRU(6, 16, seed=0), examples / "encoder.safetensors")
    decoder = gru_native.AttentionDecoder(6, 8, 32, 16, cell="gru", seed=1)
    gru_native.save(decoder, examples / "decoder.safetensors")
    rest = SCRIPT.removeprefix(BUILD)
    assert rest != SCRIPT
    printed = run("sh", "-euc", rest, cwd=examples)
    assert "frames of 2 channels in blocks of 64" in printed
    assert "sequences right" in printed
    check_live(printed[LIVE.search(printed).start() :], 1)
    assert (examples / "out.wav").exists()
    assert (examples / "xor.safetensors").exists()
