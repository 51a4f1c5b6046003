"""Files as Keras 2 writes them, by h5py, and what Keras 2 computes, by its documented equations."""

import json

import h5py
import numpy as np


def write(path, version, layers, config=None):
    """layers: (name, {weight's name: array}) in the model's order."""
    with h5py.File(path, "w") as file:
        group = file
        if config is not None:
            file.attrs["model_config"] = json.dumps(config).encode()
            file.attrs["keras_version"] = version.encode()
            group = file.create_group("model_weights")
        group.attrs["layer_names"] = np.array([name.encode() for name, _ in layers])
        group.attrs["backend"] = b"tensorflow"
        group.attrs["keras_version"] = version.encode()
        for name, weights in layers:
            own = group.create_group(name)
            own.attrs["weight_names"] = np.array([n.encode() for n in weights])
            for weight, array in weights.items():
                own.create_dataset(weight, data=array)


def layer(kind, name, inbound=None, **options):
    """An entry of a configuration, with what the layer is called on."""
    entry = {"class_name": kind, "config": {"name": name, "trainable": True, **options}}
    if inbound is not None:
        nodes = [[[*ref, {}] for ref in inbound]] if inbound else []
        entry |= {"name": name, "inbound_nodes": nodes}
    return entry


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def hard_sigmoid(x):
    return np.clip(0.2 * x + 0.5, 0, 1)


def lstm(x, products, units, gate, state=None):
    """x (batch, seq, input); products(x_t, h): the four sums i, f, c, o."""
    h, c = state if state is not None else np.zeros((2, len(x), units))
    hs = []
    for t in range(x.shape[1]):
        i, f, g, o = products(x[:, t], h)
        c = gate(f) * c + gate(i) * np.tanh(g)
        h = gate(o) * np.tanh(c)
        hs.append(h)
    return np.stack(hs, 1), h, c


def plain_lstm(x, kernel, recurrent, bias, gate, state=None):
    units = len(recurrent)
    return lstm(
        x, lambda v, h: np.split(v @ kernel + h @ recurrent + bias, 4, -1), units, gate, state
    )


def plain_gru(x, kernel, recurrent, bias, gate):
    """reset_after=False, Keras 2's default."""
    units = len(recurrent)
    h = np.zeros((len(x), units))
    hs = []
    for t in range(x.shape[1]):
        v = x[:, t] @ kernel + bias
        z = gate(v[:, :units] + h @ recurrent[:, :units])
        r = gate(v[:, units : 2 * units] + h @ recurrent[:, units : 2 * units])
        n = np.tanh(v[:, 2 * units :] + (r * h) @ recurrent[:, 2 * units :])
        h = z * h + (1 - z) * n
        hs.append(h)
    return np.stack(hs, 1)


def _matrices(kernel, gates):
    """cuDNN takes the numbers of each gate's (input, units) as a matrix (units, input), by rows."""
    return [
        np.ascontiguousarray(k).ravel().reshape(k.shape[1], k.shape[0])
        for k in np.split(kernel, gates, 1)
    ]


def cudnn_lstm(x, kernel, recurrent, bias):
    w, r, b = _matrices(kernel, 4), _matrices(recurrent, 4), np.split(bias, 8)

    def products(v, h):
        return [v @ w[k].T + b[k] + h @ r[k].T + b[4 + k] for k in range(4)]

    return lstm(x, products, len(recurrent), sigmoid)[0]


def cudnn_gru(x, kernel, recurrent, bias):
    w, r, b = _matrices(kernel, 3), _matrices(recurrent, 3), np.split(bias, 6)
    h = np.zeros((len(x), len(recurrent)))
    hs = []
    for t in range(x.shape[1]):
        own = [x[:, t] @ w[k].T + b[k] for k in range(3)]
        rec = [h @ r[k].T + b[3 + k] for k in range(3)]
        z, reset = sigmoid(own[0] + rec[0]), sigmoid(own[1] + rec[1])
        h = z * h + (1 - z) * np.tanh(own[2] + reset * rec[2])
        hs.append(h)
    return np.stack(hs, 1)
