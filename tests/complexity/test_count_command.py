"""``gru-native count``."""

import argparse
import csv
import inspect
import io
import json

import pytest

import gru_native
from gru_native import complexity
from gru_native._cli import count_options, main

EXAMPLE = (
    "--cell lstm --input 40 --hidden 2048 --proj 512 --layers 1 --outputs 8000 --peephole "
    "--seq 20 --batch 4"
)


@pytest.fixture
def run(capsys):
    def run(arguments, code=0):
        assert main(["count", *arguments.split()]) == code
        out, err = capsys.readouterr()
        return err if code else out

    return run


def expected():
    layer = complexity.LSTM(40, 2048, proj_size=512, peephole=True)
    return complexity.count(layer, 20, 4, outputs=8000)


def test_example(run):
    assert run(EXAMPLE).startswith(expected().table())
    (found,) = json.loads(run(EXAMPLE + " --json"))
    assert found == json.loads(json.dumps(expected().to_dict()))


def test_side_by_side_as_csv(run):
    text = run("--input 40 --hidden 64 --peephole --csv --vs --cell gru --vs --hidden 32 --seq 3")
    rows = {row[0]: row[1:] for row in csv.reader(io.StringIO(text))}
    kinds = [
        complexity.LSTM(40, 64, peephole=True), complexity.GRU(40, 64), complexity.GRU(40, 32)
    ]  # fmt: skip
    assert rows["parameters"] == [str(kind.num_parameters) for kind in kinds]
    macs = [
        complexity.count(kind, n).forward.macs for kind, n in zip(kinds, (1, 1, 3), strict=True)
    ]
    assert rows["forward: MAC"] == list(map(str, macs))


def test_model_file(run, tmp_path):
    chain = gru_native.Chain([gru_native.LSTM(4, 6, 2, peephole=True), gru_native.Dense(6, 3)])
    gru_native.save(chain, tmp_path / "a.safetensors")
    one, two = json.loads(run(f"{tmp_path}/a.safetensors --seq 5 --json --vs --input 4 --hidden 6"))
    assert one == json.loads(json.dumps(complexity.count(chain, 5).to_dict()))
    assert two["parameters"] == complexity.LSTM(4, 6).num_parameters


@pytest.mark.parametrize(
    ("arguments", "parameters"),
    [
        (
            "--cell rnn --input 3 --hidden 4 --nonlinearity relu --lengths 2,0,1 --seq 2 --batch 3",
            36,
        ),
        ("--cell dense --input 3 --outputs 4", 16),
        ("--cell output-rnn --input 3 --hidden 4 --outputs 2 --output-activation tanh", 34),
        ("--variant FGR --input 3 --hidden 4 --gate-recurrence", 16 * 7 + 32 + 12 + 9 * 16),
        ("--cell grconv --input 3 --hidden 4 --activation relu --seq 3", 75),
        ("--cell child-sum --input 3 --hidden 4 --parents 2,2,-1", 128),
        ("--cell nary --arity 2 --input 3 --hidden 4 --parents 2,2,-1 --slots 0,1,0", 224),
        ("--cell graph --hidden 4 --steps 2 --nodes 5 --edges 6", 208),
        ("--variant CIFG --input 3 --hidden 4 --no-bias --symbols", 3 * 4 * 7 + 8),
    ],
)
def test_every_cell(run, arguments, parameters):
    (found,) = json.loads(run(arguments + " --json"))
    assert found["parameters"] == parameters
    assert f"{parameters:,}" in run(arguments)


def test_every_option_says_what_it_is():
    parser = argparse.ArgumentParser()
    count_options.add_to(parser.add_subparsers())
    (commands,) = (a for a in parser._actions if isinstance(a, argparse._SubParsersAction))
    for action in commands.choices["count"]._actions:
        assert action.help, action.option_strings


def test_every_argument_of_the_classes_is_an_option():
    kinds = count_options.CELLS.values()
    names = {name for kind in kinds for name in inspect.signature(kind).parameters}
    free = {"batch_first", "dtype", "seed"}  # they change no figure
    assert names - free - {"output_size"} == set(count_options.LAYER) - {"variant"}


def test_published(run):
    text = run("--published")
    assert text.count(" NO") == 1
    assert "63 of 64 rows agree" in text
    rows = json.loads(run("--published --json"))
    assert rows == [row.to_dict() for row in complexity.published()]
    assert len(list(csv.reader(io.StringIO(run("--published --csv"))))) == len(rows) + 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("--input 40", "--hidden is missing"),
        ("--input 40 --hidden 0", "hidden_size is 0; expected at least 1"),
        ("--input 40 --hidden 8 --proj 9", "proj_size is 9; expected less than hidden_size=8"),
        ("--input 4 --hidden 8 --seq 3 --lengths 4", "lengths[0] is 4; expected 0 to seq_len=3"),
        ("--cell gru --input 4 --hidden 8 --peephole", "--peephole is no option of --cell gru"),
        ("--cell gru --input 4 --hidden 8 --variant V", "--variant is no option of --cell gru"),
        ("--input 4 --hidden 8 --vs --proj 8", "network 2: proj_size is 8"),
        ("no-such-file --hidden 3", "--hidden was given with no-such-file; expected either"),
        ("no-such-file", "no-such-file"),
        ("--cell nary --input 3 --hidden 4 --arity 2 --seq 4", "--seq is no option of --cell nary"),
        ("--input 3 --hidden 4 --nodes 4", "--nodes is no option of --cell lstm"),
        ("--input 4 --hidden 8 --limits no-such-file", "no-such-file"),
    ],
)
def test_errors(run, arguments, words):
    text = run(arguments, code=2)
    assert text.startswith("gru-native count: ")
    assert words in text
