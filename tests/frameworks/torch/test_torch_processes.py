"""gru_native.torch in several processes: DataLoader's workers, DistributedDataParallel."""

import subprocess
import sys

import pytest

pytest.importorskip("torch")


def run_program(*arguments):
    """A file, so that spawned processes can import it as their main module."""
    return subprocess.run(
        [sys.executable, *map(str, arguments)], capture_output=True, text=True, timeout=180
    )


LOADER = """
import sys, torch, gru_native, gru_native.torch
from torch.utils.data import DataLoader, Dataset


class Features(Dataset):
    # What the workers compute: a module that came here by fork or by pickle.
    def __init__(self, module):
        self.module = module

    def __len__(self):
        return 4

    def __getitem__(self, i):
        generator = torch.Generator().manual_seed(i)
        with torch.no_grad():
            return self.module(torch.randn(30, 8, 16, generator=generator))[0]


if __name__ == "__main__":
    gru_native.set_num_threads(2)
    torch.manual_seed(0)
    module = gru_native.torch.LSTM(16, 64)
    data = Features(module)
    expected = [data[i] for i in range(len(data))]  # the parent's team is up
    loader = DataLoader(data, batch_size=None, num_workers=2, multiprocessing_context=sys.argv[1])
    for found, wanted in zip(loader, expected, strict=True):
        assert torch.equal(found, wanted)
        assert torch.equal(data[0], expected[0])
    print("fine")
"""


@pytest.mark.slow
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_workers_of_a_loader_compute(method, tmp_path):
    program = tmp_path / "loader.py"
    program.write_text(LOADER)
    done = run_program(program, method)
    assert done.stdout.strip() == "fine", done.stderr


PARALLEL = """
import sys, torch, gru_native.torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(5, 12, num_layers=2)
        self.head = nn.Linear(12, 2)

    def forward(self, x):
        return self.head(self.lstm(x)[0])


def steps(model, x, dy):
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    for _ in range(3):
        optimizer.zero_grad()
        (model(x) * dy).mean().backward()
        optimizer.step()
    return [p.detach().clone() for p in model.parameters()]


def member(rank, port):
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
    torch.manual_seed(0)
    model = gru_native.torch.accelerate(Model().double())
    x, dy = torch.randn(6, 4, 5).double(), torch.randn(6, 4, 2).double()
    share = slice(2 * rank, 2 * rank + 2)
    found = steps(DistributedDataParallel(model), x[:, share], dy[:, share])
    torch.manual_seed(0)
    expected = steps(Model().double(), x, dy)  # the whole batch in one process
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b)
    dist.destroy_process_group()
    print("fine", flush=True)


if __name__ == "__main__":
    torch.multiprocessing.spawn(member, (sys.argv[1],), nprocs=2)
"""


@pytest.mark.slow
def test_distributed_data_parallel(tmp_path):
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    program = tmp_path / "parallel.py"
    program.write_text(PARALLEL)
    done = run_program(program, port)
    assert done.stdout.count("fine") == 2, done.stderr  # their lines may run together
