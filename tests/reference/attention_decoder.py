"""The decoder written out in PyTorch, a sequence and a step at a time; gradients by autograd."""

from __future__ import annotations

import torch


def cell(w: dict, layer: int, x: torch.Tensor, h: torch.Tensor, c: torch.Tensor | None):
    names = (f"{kind}_{of}_l{layer}" for kind in ("weight", "bias") for of in ("ih", "hh"))
    parameters = [w[name] for name in names]
    if c is None:
        return torch.gru_cell(x[None], h[None], *parameters)[0], None
    h, c = torch.lstm_cell(x[None], (h[None], c[None]), *parameters)
    return h[0], c[0]


def scores(w: dict, kind: str, m: int, s: torch.Tensor, memory: torch.Tensor, before: torch.Tensor):
    """Of one state for the positions (src, size) of a memory; before: the weights before."""
    if kind == "dot":
        return memory @ s
    if kind == "general":
        return (memory @ w[f"weight_memory_m{m}"].T) @ s
    a = w[f"weight_query_m{m}"] @ s + memory @ w[f"weight_memory_m{m}"].T + w[f"bias_score_m{m}"]
    if kind == "location":
        f = w[f"weight_filter_m{m}"]
        convolved = torch.conv1d(before[None, None], f[:, None], padding=f.shape[1] // 2)[0]
        a = a + convolved.T @ w[f"weight_location_m{m}"].T
    return torch.tanh(a) @ w[f"weight_score_m{m}"]


def readout(w: dict, maxout: bool, z: torch.Tensor):
    u = w["weight_readout"] @ z + w["bias_readout"]
    return u.reshape(-1, 2).amax(1) if maxout else torch.tanh(u)


def sequence(w: dict, decoder, targets, memories, h, c, context, weights):
    """Steps of one sequence. targets (steps,), memories [(src, size)] or without attention
    [(size,)], h and c (layers, H), context (C,), weights [(src,)]. Returns the logits of each step,
    h, c, context, weights and each step's weights."""
    h, c, weights = list(h), None if c is None else list(c), list(weights)
    logits, seen = [], []
    if decoder.attention is None:
        context = torch.cat(memories)
    for token in targets:
        emb = w["weight_embedding"][token]
        x = torch.cat([emb, context]) if decoder.input_feeding else emb
        for layer in range(decoder.num_layers):
            before = None if c is None else c[layer]
            h[layer], after = cell(w, layer, x, h[layer], before)
            if c is not None:
                c[layer] = after
            x = h[layer]
        if decoder.attention is not None:
            weights = [
                torch.softmax(scores(w, decoder.attention, m, x, memory, weights[m]), 0)
                for m, memory in enumerate(memories)
            ]
            context = torch.cat([a @ memory for a, memory in zip(weights, memories, strict=True)])
        seen.append(weights)
        r = readout(w, decoder.readout == "maxout", torch.cat([x, context, emb]))
        logits.append(w["weight_output"] @ r + w["bias_output"])
    return logits, h, c, context, weights, seen


def batch(w: dict, decoder, targets, memories, memory_lengths, lengths, h, c, context, weights):
    """Whole arrays as AttentionDecoder has them; all rows, each by itself. Without attention
    ``weights`` and ``context`` are handed through."""
    steps, rows = targets.shape
    zero = w["bias_output"] * 0
    columns = []
    finals = []
    for b in range(rows):
        own = [
            memory[b] if decoder.attention is None else memory[: memory_lengths[m][b], b]
            for m, memory in enumerate(memories)
        ]
        before = [a[b, : own[m].shape[0]] for m, a in enumerate(weights)]
        logits, *final, _ = sequence(
            w,
            decoder,
            targets[: lengths[b], b],
            own,
            h[:, b],
            None if c is None else c[:, b],
            context[b],
            before,
        )
        columns.append(torch.stack(logits + [zero] * (steps - len(logits))))
        finals.append(final)
    padded = [
        torch.stack(
            [torch.cat([f[3][m], a[b, f[3][m].shape[0] :] * 0]) for b, f in enumerate(finals)]
        )
        for m, a in enumerate(weights)
    ]
    return (
        torch.stack(columns, 1),
        torch.stack([torch.stack(list(f[0])) for f in finals], 1),
        None if c is None else torch.stack([torch.stack(list(f[1])) for f in finals], 1),
        torch.stack([f[2] for f in finals]),
        padded,
    )
