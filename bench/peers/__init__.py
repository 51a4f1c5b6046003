"""The libraries that gru_native is compared with, each at its best.

Models, sessions and compiled graphs are made, weights packed and inputs converted before anything
is timed. A library that is not installed, or that cannot do what a case asks for, is left out, and
why is kept for the report.
"""

from __future__ import annotations

from importlib import import_module
from typing import Protocol

from measuring.problem import NotSupportedError, Problem, Runner

PEERS = {
    "PyTorch": "peers.pytorch",
    "ONNX Runtime": "peers.onnx_runtime",
    "OpenVINO": "peers.openvino",
}


class Peer(Protocol):
    name: str
    version: str

    def runner(self, problem: Problem, threads: int) -> Runner:
        """Ready to be timed; raises NotSupportedError where the library cannot do it."""
        ...


def installed(notes: list[str]) -> list[Peer]:
    """The peers that can be imported here; for the others, a line in notes."""
    peers: list[Peer] = []
    for name, module in PEERS.items():
        try:
            peers.append(import_module(module).make())
        except ImportError as error:
            notes.append(f"{name} is left out: {error}")
    return peers


def runners(
    peers: list[Peer], problem: Problem, threads: list[int], notes: list[str]
) -> list[Runner]:
    """Every peer that can do the case, at every number of threads."""
    made: list[Runner] = []
    for peer in peers:
        try:
            made += [peer.runner(problem, n) for n in threads]
        except NotSupportedError as error:
            note = f"{peer.name} is left out of {problem.case.group}: {error}"
            if note not in notes:
                notes.append(note)
    return made
