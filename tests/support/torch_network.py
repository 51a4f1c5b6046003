"""A test case run through torch.nn and its autograd, in float64. Importing this needs torch."""

from dataclasses import dataclass

import numpy as np
import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from helpers import each, named_gradients, parts, regroup
from reference.network import zero_state


@dataclass
class Result:
    y: np.ndarray
    final: object
    gradients: dict


def make_network(spec, weights):
    options = {"nonlinearity": spec.cell.removeprefix("rnn_")} if spec.cell[0] == "r" else {}
    if spec.proj_size:
        options["proj_size"] = spec.proj_size
    kind = {"r": torch.nn.RNN, "l": torch.nn.LSTM, "g": torch.nn.GRU}[spec.cell[0]]
    network = kind(
        spec.input_size,
        spec.hidden_size,
        spec.num_layers,
        bias=spec.bias,
        bidirectional=spec.bidirectional,
        dtype=torch.float64,
        **options,
    )
    network.load_state_dict({name: torch.tensor(w) for name, w in weights.items()})
    return network


def run(case):
    """Forward, and if the case has dy or dstate also every gradient, by name.

    torch gives no gradient of a state that it was not given, so it is always given here.
    """
    case = case.cast(np.float64)
    network = make_network(case.spec, case.weights)
    x = torch.tensor(case.x, requires_grad=True)
    state = case.state
    if state is None:
        state = zero_state(case.spec, case.x.shape[1])
        state = state if case.spec.cell == "lstm" else state[0]
    state = each(lambda part: torch.tensor(part, requires_grad=True), state)

    if case.lengths is None:
        y, final = network(x, state)
    else:
        packed = pack_padded_sequence(x, torch.tensor(case.lengths), enforce_sorted=False)
        packed, final = network(packed, state)
        y, _ = pad_packed_sequence(packed, total_length=len(x))

    gradients = {}
    outputs, doutputs = [], []
    if case.dy is not None:
        outputs.append(y)
        doutputs.append(torch.tensor(case.dy))
    if case.dstate is not None:
        outputs.extend(parts(final))
        doutputs.extend(torch.tensor(part) for part in parts(case.dstate))
    if outputs:
        names, weights = zip(*network.named_parameters(), strict=True)
        found = torch.autograd.grad(
            outputs, [x, *parts(state), *weights], doutputs, materialize_grads=True
        )
        found = [gradient.numpy() for gradient in found]
        split = 1 + len(parts(state))
        by_name = dict(zip(names, found[split:], strict=True))
        gradients = named_gradients(found[0], regroup(state, found[1:split]), by_name)
    return Result(y.detach().numpy(), each(lambda part: part.detach().numpy(), final), gradients)
