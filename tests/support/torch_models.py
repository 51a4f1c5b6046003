"""Models of PyTorch with recurrent layers in them, and how they are trained."""

import torch
from torch import nn

import gru_native.torch as ours


class Tagger(nn.Module):
    """Two recurrent layers among others, one of them used twice."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(11, 6)
        self.layers = nn.ModuleList([nn.LSTM(6, 8, batch_first=True, bidirectional=True)])
        self.gru = nn.GRU(16, 16, batch_first=True)
        self.head = nn.Linear(16, 5)

    def forward(self, tokens):
        y, _ = self.layers[0](self.embed(tokens))
        y, h = self.gru(y)
        y, _ = self.gru(y, h)
        return self.head(torch.relu(y))


def tagger():
    torch.manual_seed(0)
    return Tagger()


TOKENS = torch.tensor([[1, 4, 2, 10, 0], [7, 7, 3, 2, 9], [5, 1, 1, 0, 6]])


def assert_near(found, expected):
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)


def gradients(model, tokens=TOKENS):
    model.zero_grad()
    model(tokens).square().sum().backward()
    return {name: p.grad.clone() for name, p in model.named_parameters()}


def train(model, optimizer, steps=4):
    """The losses of a few steps, with gradients clipped."""
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(TOKENS).flatten(0, 1), TOKENS.flatten() % 5)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        optimizer.step()
        losses.append(loss.item())
    return losses


def own_modules():
    torch.manual_seed(1)
    return [
        ours.LSTM(3, 4, proj_size=2, num_layers=2),
        ours.LSTM(3, 4, peephole=True, coupled_gates=True),
        ours.GRU(3, 4, reset_after=False, bidirectional=True),
        ours.accelerate(nn.RNN(3, 4)),
    ]
