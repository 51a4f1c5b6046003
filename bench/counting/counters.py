"""What other libraries count for recurrent modules of PyTorch, beside the exact count."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib import metadata
from typing import Any

from gru_native import complexity

STEPS, BATCH, INPUTS, HIDDEN = 10, 3, 64, 128
LENGTHS = [10, 4, 7]


@dataclass
class Row:
    """One module: the exact multiply-accumulates, and those of each counter, or why not."""

    name: str
    exact: int
    parameters: int
    found: dict[str, int | str] = field(default_factory=dict)


def _modules() -> Iterator[tuple[str, str, dict[str, Any], dict[str, Any], bool]]:
    """Name, cell, options of both, options of torch alone, whether lengths differ."""
    for cell in ("RNN", "LSTM", "GRU"):
        yield cell, cell, {}, {}, False
    yield "LSTM, bias=False", "LSTM", {"bias": False}, {}, False
    yield "LSTM, batch_first", "LSTM", {"batch_first": True}, {}, False
    yield "LSTM, proj_size=32", "LSTM", {"proj_size": 32}, {}, False
    for cell in ("LSTM", "GRU"):
        stack = {"num_layers": 2, "bidirectional": True}
        yield f"{cell}, 2 layers, bidirectional", cell, stack, {}, False
    yield f"LSTM, lengths {LENGTHS}", "LSTM", {}, {}, True


def _fvcore(torch: Any, model: Any, inputs: Any) -> int:
    from fvcore.nn import FlopCountAnalysis

    # Its "flop" is a multiply-accumulate.
    analysis = FlopCountAnalysis(model, (inputs,))
    return int(analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False).total())


def _torchinfo(torch: Any, model: Any, inputs: Any) -> int:
    import torchinfo

    return int(torchinfo.summary(model, input_data=[inputs], verbose=0).total_mult_adds)


def _thop(torch: Any, model: Any, inputs: Any) -> int:
    import thop

    return int(thop.profile(model, inputs=(inputs,), verbose=False)[0])


def _ptflops(torch: Any, model: Any, inputs: Any) -> int:
    import ptflops

    macs, _ = ptflops.get_model_complexity_info(
        model,
        (1,),
        input_constructor=lambda _: inputs,
        as_strings=False,
        print_per_layer_stat=False,
        backend="pytorch",
    )
    return int(macs) * len(inputs)  # it divides by what it takes for the batch


def _deepspeed(torch: Any, model: Any, inputs: Any) -> int:
    from deepspeed.profiling.flops_profiler import get_model_profile

    # Of a recurrent layer it says 0 MACs, and FLOPs.
    flops, _, _ = get_model_profile(model, args=[inputs], print_profile=False, as_string=False)
    return int(flops) // 2


def _torch(torch: Any, model: Any, inputs: Any) -> int:
    from torch.utils.flop_counter import FlopCounterMode

    counter = FlopCounterMode(display=False)
    with counter:
        model(inputs)
    return int(counter.get_total_flops()) // 2


COUNTERS: dict[str, Callable[[Any, Any, Any], int]] = {
    "fvcore": _fvcore,
    "torchinfo": _torchinfo,
    "thop": _thop,
    "ptflops": _ptflops,
    "deepspeed": _deepspeed,
    "torch": _torch,
}


def installed(notes: list[str]) -> dict[str, str]:
    """The counters that can be imported here, and their versions; for the others a note."""
    try:
        import torch  # noqa: F401
    except ImportError:
        notes.append("PyTorch is not installed: the counters of others are left out")
        return {}
    versions = {}
    for name in COUNTERS:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            notes.append(f"{name} is not installed, and left out")
    return versions


def _count(name: str, torch: Any, model: Any, inputs: Any) -> int | str:
    hush = contextlib.redirect_stdout(io.StringIO())
    try:
        with hush, contextlib.redirect_stderr(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return COUNTERS[name](torch, model, inputs)
    except Exception as error:
        return type(error).__name__


def run(names: list[str]) -> list[Row]:
    """Every module through every counter. Exact: every step with its recurrent product, as torch
    computes it; for lengths the steps that there are."""
    import torch
    from torch.nn.utils.rnn import pack_padded_sequence

    rows = []
    for name, cell, options, _, ragged in _modules():
        own = complexity.count(
            getattr(complexity, cell)(INPUTS, HIDDEN, **options),
            STEPS,
            BATCH,
            LENGTHS if ragged else None,
        )
        row = Row(name, own.textbook.forward.macs, own.parameters)
        for counter in names:
            model = getattr(torch.nn, cell)(INPUTS, HIDDEN, **options).eval()
            assert sum(p.numel() for p in model.parameters()) == own.parameters
            shape = (BATCH, STEPS) if options.get("batch_first") else (STEPS, BATCH)
            inputs: Any = torch.zeros(*shape, INPUTS)
            if ragged:
                inputs = pack_padded_sequence(inputs, torch.tensor(LENGTHS), enforce_sorted=False)
            row.found[counter] = _count(counter, torch, model, inputs)
        rows.append(row)
    return rows
