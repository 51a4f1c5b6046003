"""`gru-native demo`: it learns, writes, gives the same network again from its file."""

import errno
import io
import json
import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import gru_native
from gru_native._cli import _parser, main
from gru_native._cli.errors import UnusableArgument
from gru_native._cli.model import CELLS, CharacterModel, new_chain
from gru_native._cli.text import Corpus, built_in_text, windows

WORDS = "the network reads a line and then it writes another line of words that it has read\n"
COMMAND = "import sys; from gru_native._cli import main; sys.exit(main())"


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "words.txt"
    path.write_text(WORDS * 200, encoding="utf-8")
    return path


@pytest.fixture
def run(tmp_path, text, capsys):
    """Runs a short demo; returns its exit code, what it printed, its progress and errors."""

    def run(*arguments, steps=40):
        out = tmp_path / "demo.safetensors"
        common = ["--out", str(out), "--hidden", "24", "--steps", str(steps)]
        code = main(["demo", "--text", str(text), *common, *map(str, arguments)])
        return (code, *capsys.readouterr())

    return run


def command(*arguments, **options):
    return subprocess.Popen(
        [sys.executable, "-c", COMMAND, "demo", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        **options,
    )


def progress_bits(lines):
    return [float(bits) for bits in re.findall(r"% +([\d.]+) bits/character", lines)]


def held_out_bits(output):
    return float(re.search(r"^held-out text +([\d.]+) bits per character", output, re.M)[1])


# --- what it does


@pytest.mark.parametrize("cell", ["gru", "lstm", "rnn"])
def test_learns_writes_and_saves(run, tmp_path, text, cell):
    code, output, progress = run("--cell", cell)
    assert code == 0
    bits = progress_bits(progress)
    assert len(bits) == 10
    assert bits[-1] < bits[0]
    corpus = Corpus.of(text.read_text(encoding="utf-8"))
    chain = gru_native.load(tmp_path / "demo.safetensors")
    assert isinstance(chain.blocks[1], CELLS[cell])
    model = CharacterModel(chain, corpus.alphabet)
    assert f"{model.bits_per_character(corpus.held_out):.3f}" == f"{held_out_bits(output):.3f}"
    written = re.search(r"the network writes:\n\n(.*)\n\nheld-out text", output, re.S)[1]
    assert len(written) == 500
    assert set(written) <= set(corpus.alphabet)


def test_a_seed_and_steps_give_one_network(run, tmp_path):
    networks = []
    for seed in (1, 1, 2):
        run("--seed", seed, steps=15)
        networks.append(gru_native.load(tmp_path / "demo.safetensors").weights)
    for name, w in networks[0].items():
        np.testing.assert_array_equal(w, networks[1][name])
    assert any((w != networks[2][name]).any() for name, w in networks[0].items())


def test_the_time_and_the_threads_of_the_other_demos(run):
    for arguments, seconds in ((["--minutes", "0.5"], 30), (["--quick"], 10), ([], 60)):
        assert _parser("demo").parse_args(["demo", *arguments]).seconds == seconds
    with pytest.raises(SystemExit):
        main(["demo", "--quick", "--minutes", "1"])
    threads = gru_native.get_num_threads()
    try:
        code, output, _ = run("--threads", "1", steps=1)
        assert gru_native.get_num_threads() == 1
    finally:
        gru_native.set_num_threads(threads)
    assert code == 0
    assert ", 1 thread\n" in output


def test_the_default_file_is_in_the_current_folder(tmp_path, text, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["demo", "--text", str(text), "--hidden", "8", "--steps", "1"]) == 0
    assert (tmp_path / "gru-native-demo.safetensors").is_file()


def test_a_folder_gets_the_network_and_the_result(tmp_path, text, capsys):
    arguments = ["--text", str(text), "--hidden", "24", "--steps", "40", "--out", str(tmp_path)]
    assert main(["demo", *arguments]) == 0
    result = json.loads((tmp_path / "result.json").read_text("utf-8"))
    assert f"{result['score']:.3f}" == f"{held_out_bits(capsys.readouterr().out):.3f}"
    assert result["baseline"] == result["table"][0]["bits per character"]
    assert result["higher_is_better"] is False
    assert result["options"]["steps"] == 40
    assert gru_native.load(tmp_path / "characters.safetensors").num_parameters > 0


def test_bits_of_pairs():
    corpus = Corpus("abc", np.array([0, 1, 0, 1, 0, 2]), np.array([0, 1, 1, 2]))
    # after a: b twice, c once; after b: a twice; each pair counts once more
    expected = -np.log2([3 / 6, 1 / 5, 1 / 5]).mean()
    assert corpus.bits_of_pairs() == pytest.approx(expected, rel=1e-12)


def test_the_built_in_text_is_english_without_repetition():
    text = built_in_text()
    assert len(text) > 200_000
    assert text.count("the ") > 2000
    long = [p for p in text.split("\n\n") if len(p) > 100]
    assert len(long) == len(set(long))


def test_another_text_than_ascii_and_a_terminal_that_cannot_show_it(tmp_path, monkeypatch):
    path = tmp_path / "cyrillic.txt"
    path.write_text("съешь же ещё этих мягких французских булок\n" * 300, encoding="utf-8")
    terminal = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", terminal)
    out = str(tmp_path / "demo.safetensors")
    options = ["--text", str(path), "--hidden", "8", "--steps", "3", "--out", out]
    assert main(["demo", *options]) == 0


# --- with and without rich


def test_works_without_rich(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "rich", None)
    monkeypatch.setitem(sys.modules, "rich.console", None)
    code, _, progress = run()
    assert code == 0
    assert len(progress_bits(progress)) == 10


def test_draws_a_bar_with_rich(run, monkeypatch):
    pytest.importorskip("rich")
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich then takes stderr for a terminal
    monkeypatch.setenv("TERM", "xterm")
    code, _, progress = run()
    assert code == 0
    assert "━" in progress
    assert "bits/character" in progress
    assert "characters/s" in progress


# --- what cannot be used


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "No such file"),
        (b"", "has 0 characters"),
        (b"too little", "has 10 characters"),
        (b"\xff\xfe" * 10_000, "no UTF-8"),
    ],
    ids=["missing", "empty", "tiny", "undecodable"],
)
def test_an_unusable_text_is_one_plain_line(tmp_path, capsys, content, message):
    path = tmp_path / "bad.txt"
    if content is not None:
        path.write_bytes(content)
    assert main(["demo", "--text", str(path), "--out", str(tmp_path / "demo.safetensors")]) == 2
    output, errors = capsys.readouterr()
    assert output == ""
    assert errors.count("\n") == 1
    assert errors.startswith(f"gru-native demo: --text {path}")
    assert message in errors
    assert not (tmp_path / "demo.safetensors").exists()


def test_a_folder_is_no_text(tmp_path, capsys):
    assert main(["demo", "--text", str(tmp_path)]) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("out", ["", "missing/demo.safetensors"])
def test_an_unusable_out_is_said_before_the_training(tmp_path, text, capsys, out):
    (tmp_path / "characters.safetensors").mkdir()
    assert main(["demo", "--text", str(text), "--out", str(tmp_path / out)]) == 2
    output, errors = capsys.readouterr()
    assert output == ""
    assert errors.startswith("gru-native demo: --out")


@pytest.mark.parametrize(
    "arguments",
    [
        ["--cell", "transformer"],
        ["--hidden", "0"],
        ["--seconds", "-1"],
        ["--seconds", "nan"],
        ["--seconds", "soon"],
        ["--minutes", "soon"],
        ["--minutes", "0"],
        ["--steps", "0"],
        ["--steps", "5", "--seconds", "5"],
        ["--seed", "x"],
    ],
    ids=" ".join,
)
def test_unusable_numbers(capsys, arguments):
    with pytest.raises(SystemExit) as stop:
        main(["demo", *arguments])
    assert stop.value.code == 2
    errors = capsys.readouterr().err
    assert arguments[0] in errors
    assert "lambda" not in errors


def test_an_isa_that_this_machine_lacks(tmp_path):
    process = command(
        "--out", tmp_path / "demo.safetensors", env={**os.environ, "GRU_NATIVE_ISA": "abacus"}
    )
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 2
    assert output == ""
    assert errors.startswith("gru-native demo: GRU_NATIVE_ISA")
    assert errors.count("\n") == 1


# --- the parts


@pytest.mark.parametrize("cell", ["gru", "lstm", "rnn"])
def test_the_gradients_are_those_of_the_loss(cell):
    chain = new_chain(cell, 12, 5, seed=3)
    model = CharacterModel(chain, "abcde")
    rng = np.random.default_rng(0)
    with chain.editing() as weights:
        weights["2.weight"] = rng.standard_normal(weights["2.weight"].shape).astype(np.float32)
    characters, following = rng.integers(5, size=(2, 6, 4))
    gradients = model.learn(characters, following, None).gradients
    for name in gradients:
        direction = rng.standard_normal(gradients[name].shape).astype(np.float32)
        losses = []
        for step in (1e-2, -2e-2):
            with chain.editing() as weights:
                weights[name][...] += np.float32(step) * direction
            losses.append(model.learn(characters, following, None).bits * np.log(2))
        with chain.editing() as weights:
            weights[name][...] += np.float32(1e-2) * direction
        slope = (losses[0] - losses[1]) / 2e-2
        assert slope == pytest.approx(
            float(np.vdot(gradients[name], direction)), rel=2e-2, abs=2e-3
        )


def test_windows_follow_each_other_along_the_tracks():
    course = windows(np.arange(1000), 7, 3, np.random.default_rng(0))
    _, _, last = next(course)
    for _ in range(20):
        first, characters, following = next(course)
        np.testing.assert_array_equal(following[:-1], characters[1:])
        assert not first
        np.testing.assert_array_equal(characters[0], last[-1])
        last = following


def test_a_python_without_its_manual(monkeypatch):
    monkeypatch.setitem(sys.modules, "pydoc_data.topics", None)
    with pytest.raises(UnusableArgument, match="--text"):
        built_in_text()


# --- the whole command


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="sends SIGINT to another process")
def test_ctrl_c_goes_on_with_what_has_been_learnt(tmp_path):
    out = tmp_path / "demo.safetensors"
    process = command("--seconds", 30, "--out", out)
    errors = process.stderr.readline()  # the first tenth
    process.send_signal(signal.SIGINT)
    output, more = process.communicate(timeout=60)
    assert process.returncode == 0, more
    assert progress_bits(errors)
    assert "training interrupted" in output
    assert held_out_bits(output) < 6
    assert out.is_file()


def test_what_nobody_reads_on_is_saved(tmp_path, text):
    out = tmp_path / "demo.safetensors"
    process = command("--text", text, "--hidden", 24, "--steps", 15, "--out", out)
    assert process.stdout.readline().startswith("GRU with 24 units")
    process.stdout.close()
    errors = process.stderr.read()
    assert process.wait(60) == 141
    assert len(progress_bits(errors)) == errors.count("\n") == 10
    assert isinstance(gru_native.load(out), gru_native.Chain)


def test_progress_that_nobody_reads_stops_no_training(tmp_path, text):
    out = tmp_path / "demo.safetensors"
    process = command("--text", text, "--hidden", 24, "--steps", 15, "--out", out)
    process.stderr.close()
    output = process.stdout.read()
    assert process.wait(60) == 0
    assert held_out_bits(output) > 0
    assert out.is_file()


def test_what_a_full_disk_cannot_take_is_saved(run, tmp_path, monkeypatch):
    class Full(io.StringIO):
        def write(self, words):
            if "bits per character" in words:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return super().write(words)

        def fileno(self):
            return nowhere

    with open(os.devnull, "w") as file:
        nowhere = file.fileno()
        monkeypatch.setattr(sys, "stdout", Full())
        code, _, errors = run()
    assert code == 1
    assert errors.endswith("gru-native demo: standard output: No space left on device\n")
    assert isinstance(gru_native.load(tmp_path / "demo.safetensors"), gru_native.Chain)


@pytest.mark.skipif(os.name != "posix", reason="sends SIGINT to another process")
def test_a_second_ctrl_c_ends_at_once_and_loses_nothing(tmp_path):
    out = tmp_path / "demo.safetensors"
    process = command("--seconds", 30, "--hidden", 1024, "--out", out)
    assert progress_bits(process.stderr.readline())
    process.send_signal(signal.SIGINT)
    while not process.stdout.readline().startswith("saved in"):
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    pressed = time.monotonic()
    output, errors = process.communicate(timeout=60)
    assert time.monotonic() - pressed < 5
    assert process.returncode == 130
    assert "held-out text  " not in output
    assert len(progress_bits(errors)) == errors.count("\n")
    assert isinstance(gru_native.load(out), gru_native.Chain)


@pytest.mark.slow
def test_the_default_settings_learn_english(tmp_path):
    out = tmp_path / "demo.safetensors"
    process = command("--seconds", 45, "--out", out)
    output, errors = process.communicate(timeout=180)
    assert process.returncode == 0, errors
    assert held_out_bits(output) < 2.2
    assert out.is_file()
    written = re.search(r"the network writes:\n\n(.*)\n\nheld-out text", output, re.S)[1]
    known = set(re.findall(r"[a-z]+", built_in_text().lower()))
    words = re.findall(r"[a-z]{3,}", written.lower())
    assert len(words) > 20
    assert sum(word in known for word in words) > 0.6 * len(words)
