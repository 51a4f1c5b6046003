"""A GRU decoder with additive attention and input feeding, as one writes it with PyTorch: GRUCell,
and all that does not feed back in one call. Its equations are those of gru_native's. Importing this
needs torch."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

import gru_native


class Decoder(nn.Module):
    """With the weights of a gru_native.AttentionDecoder."""

    def __init__(self, ours: gru_native.AttentionDecoder) -> None:
        super().__init__()
        size, memory, dim = ours.hidden_size, ours.memory_size, ours.embedding_dim
        self.embedding = nn.Embedding(ours.vocab_size, dim)
        self.cell = nn.GRUCell(dim + memory, size)
        self.query = nn.Linear(size, size, bias=False)
        self.keys = nn.Linear(memory, size)
        self.score = nn.Linear(size, 1, bias=False)
        self.readout = nn.Linear(size + memory + dim, size)
        self.output = nn.Linear(size, ours.vocab_size)
        names = {
            "embedding.weight": "weight_embedding",
            "query.weight": "weight_query_m0",
            "keys.weight": "weight_memory_m0",
            "keys.bias": "bias_score_m0",
            "readout.weight": "weight_readout",
            "readout.bias": "bias_readout",
            "output.weight": "weight_output",
            "output.bias": "bias_output",
        }
        for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
            names[f"cell.{kind}"] = f"{kind}_l0"
        state = {name: torch.from_numpy(ours.weights[own].copy()) for name, own in names.items()}
        state["score.weight"] = torch.from_numpy(ours.weights["weight_score_m0"].copy())[None]
        self.load_state_dict(state)

    def attend(self, s: Tensor, keys: Tensor, h: Tensor) -> Tensor:
        """The contexts (batch, beam, memory) of states (batch * beam, size); memory batch first."""
        query = self.query(s).view(len(h), -1, 1, s.shape[1])
        weights = self.score(torch.tanh(keys[:, None] + query))[..., 0].softmax(2)
        return torch.bmm(weights, h)

    def forward(self, targets: Tensor, h: Tensor) -> Tensor:
        """Logits (steps, batch, words); tokens (steps, batch), memory (batch, source, size)."""
        embedded, keys = self.embedding(targets), self.keys(h)
        s = h.new_zeros(len(h), self.cell.hidden_size)
        context = h.new_zeros(len(h), h.shape[2])
        states, contexts = [], []
        for x in embedded:
            s = self.cell(torch.cat([x, context], 1), s)
            context = self.attend(s, keys, h)[:, 0]
            states.append(s)
            contexts.append(context)
        z = torch.cat([torch.stack(states), torch.stack(contexts), embedded], 2)
        return self.output(torch.tanh(self.readout(z)))

    @torch.inference_mode()
    def generate(self, h: Tensor, start: int, steps: int, beam: int) -> NDArray[np.int64]:
        """The best of a beam that nothing leaves early, (batch, steps)."""
        batch, keys = len(h), self.keys(h)
        s = h.new_zeros(batch, self.cell.hidden_size)
        context = h.new_zeros(batch, h.shape[2])
        tokens = torch.full((batch,), start)
        score = h.new_zeros(batch, 1)
        said = torch.empty(batch, 1, 0, dtype=torch.long)
        for _ in range(steps):
            x = self.embedding(tokens)
            s = self.cell(torch.cat([x, context], 1), s)
            context = self.attend(s, keys, h).flatten(0, 1)
            logits = self.output(torch.tanh(self.readout(torch.cat([s, context, x], 1))))
            if beam == 1:
                tokens = logits.argmax(1)
                said = torch.cat([said, tokens.view(batch, 1, 1)], 2)
                continue
            words = logits.shape[1]
            log_p = logits.log_softmax(1).view(batch, -1, words) + score[..., None]
            score, best = log_p.flatten(1).topk(beam, 1)
            parents = best // words
            rows = (parents + log_p.shape[1] * torch.arange(batch)[:, None]).flatten()
            tokens = (best % words).flatten()
            s, context = s[rows], context[rows]
            said = torch.cat([said.flatten(0, 1)[rows], tokens[:, None]], 1).view(batch, beam, -1)
        return said[:, 0].numpy()
