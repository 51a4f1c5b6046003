"""Tree-LSTM in PyTorch, node by node, for its autograd."""

import numpy as np
import torch


def run(weights, x, parents, slots, dh, dc):
    """h, c and name -> gradient of sum(dh h + dc c), all NumPy float64."""
    w = {name: torch.tensor(value, requires_grad=True) for name, value in weights.items()}
    x = torch.tensor(x, requires_grad=True)
    H = dh.shape[1]
    bias = w.get("bias", torch.zeros(4 * H, dtype=torch.float64))
    zeros = torch.zeros(H, dtype=torch.float64)
    h, c = {}, {}

    def ready(node):
        return all(k in h for k, p in enumerate(parents) if p == node)

    while len(h) < len(parents):
        for node in range(len(parents)):
            if node in h or not ready(node):
                continue
            children = [k for k, p in enumerate(parents) if p == node]
            a_i, a_f, a_g, a_o = (w["weight_ih"] @ x[node] + bias).split(H)
            if slots is None:
                U_i, U_f, U_g, U_o = w["weight_hh"].split(H)
                s = sum((h[k] for k in children), zeros)
                forget = {k: torch.sigmoid(a_f + U_f @ h[k]) for k in children}
            else:
                U_i, U_o, U_g = w["weight_hh_iog"].split(H)
                U_f = w["weight_hh_f"].split(H)
                s = [zeros] * len(U_f)
                for k in children:
                    s[slots[k]] = h[k]
                s = torch.cat(s)
                forget = {k: torch.sigmoid(a_f + U_f[slots[k]] @ s) for k in children}
            state = torch.sigmoid(a_i + U_i @ s) * torch.tanh(a_g + U_g @ s)
            c[node] = state + sum((forget[k] * c[k] for k in children), zeros)
            h[node] = torch.sigmoid(a_o + U_o @ s) * torch.tanh(c[node])
    h, c = (torch.stack([part[node] for node in range(len(parents))]) for part in (h, c))
    loss = (torch.tensor(dh) * h).sum() + (torch.tensor(dc) * c).sum()
    loss.backward()
    gradients = {"dx": x.grad, **{name: value.grad for name, value in w.items()}}
    arrays = {
        name: np.zeros_like(weights.get(name, x.detach())) if value is None else value.numpy()
        for name, value in gradients.items()
    }
    return h.detach().numpy(), c.detach().numpy(), arrays
