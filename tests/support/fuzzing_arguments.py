"""Values in the place of a right argument: mostly wrong ones, of every kind."""

import array

import numpy as np


class Own(Exception):
    """What a user's object raises by itself while it is read."""


class Subclass(np.ndarray):
    """Has methods of its own, which nobody should call."""

    def astype(self, *_, **__):
        raise AssertionError("astype of a subclass was called")


def _raises(*_, **__):
    raise Own


class Raises:
    __array__ = _raises


class Interface:
    __array_interface__ = property(_raises)


class Items:
    def __len__(self):
        return 2

    __getitem__ = _raises


class Index:
    __index__ = __float__ = __len__ = _raises


class Wrapped:
    """Read by __array__."""

    def __init__(self, values):
        self.values = values

    def __array__(self, dtype=None, copy=None):
        return self.values


HUGE = (2**31, 2**40, 2**62, 2**63, 10**30)
SCALARS = (
    *(None, True, False, 0, 1, -1, 3, 0.5, float("nan"), float("inf"), -1e308, 1j, *HUGE),
    *("", "x", "tanh", "int8", b"bytes", (), [], {}, {"x": 1}, set(), object(), Ellipsis, len, int),
    *(np.float32(1), np.int64(-1), np.bool_(True), np.array(3.0), np.array([], np.float32)),
    *(Raises(), Interface(), Items(), Index(), [Raises()], (Index(), Index()), range(3)),
    *([[1.0], [2.0, 3.0]], [None], ["a"], "\ud800", (1, 2, 3), [[1, 2], [3, 4]], 1e-320),
)
DTYPES = (
    *("f2", "f4", "f8", "g", ">f4", ">f8", "c8", "i1", "i4", "i8", ">i8", "u1", "u8", "?"),
    *("O", "U3", "S3", "M8[s]", "m8[s]", "V4", "i2,f4"),
)


def others(rnd, good, count):
    """So many values; good: the right one, an array, a number, a tuple of arrays or a mapping."""
    return [_other(rnd, good) for _ in range(count)]


def _other(rnd, good):
    if rnd.randrange(4) == 0:
        return rnd.choice(SCALARS)
    if isinstance(good, np.ndarray):
        return _other_array(rnd, good)
    if isinstance(good, dict):
        return _other_mapping(rnd, good)
    if isinstance(good, (tuple, list)) and good:
        return _other_tuple(rnd, good)
    if isinstance(good, int) and not isinstance(good, bool):
        return rnd.choice((good, good + 1, -good, float(good), str(good), np.int32(good), [good]))
    return rnd.choice(SCALARS)


def _other_tuple(rnd, good):
    parts = list(good)
    place = rnd.randrange(len(parts))
    how = rnd.randrange(4)
    if how == 0:
        del parts[place]
    elif how == 1:
        parts.insert(place, parts[place])
    else:
        parts[place] = _other(rnd, parts[place])
    return rnd.choice((tuple, list, tuple))(parts)


def _other_mapping(rnd, good):
    changed = dict(good)
    name = rnd.choice(list(changed))
    how = rnd.randrange(4)
    if how == 0:
        del changed[name]
    elif how == 1:
        changed[rnd.choice(("", "no such weight", 3, None, "\ud800"))] = changed[name]
    else:
        changed[name] = _other(rnd, changed[name])
    return changed


def _other_array(rnd, good):
    return rnd.choice(ARRAYS)(rnd, good)


def _resized(rnd, a):
    shape = [max(0, n + rnd.choice((-n, -1, 0, 0, 1))) for n in a.shape]
    how = rnd.randrange(4)
    if how == 0 and shape:
        shape.pop(rnd.randrange(len(shape)))
    elif how == 1:
        shape.insert(rnd.randrange(len(shape) + 1), rnd.choice((0, 1, 2)))
    elif how == 2:
        rnd.shuffle(shape)
    return np.resize(a, shape).astype(a.dtype)


def _broadcast(rnd, a):
    """So large that no copy of it fits into memory: its rows are one row."""
    shape = list(a.shape) or [1]
    shape[rnd.randrange(len(shape))] = rnd.choice((2**44, 2**50, 2**58))
    try:
        return np.broadcast_to(a.reshape(-1)[:1].reshape((1,) * len(shape)), shape)
    except ValueError:  # more than NumPy can have
        return a


def _converted(rnd, a):
    with np.errstate(all="ignore"):
        try:
            return a.astype(rnd.choice(DTYPES))
        except (TypeError, ValueError):
            return a.astype("O")


def _with_special(rnd, a):
    changed = a.copy()
    if changed.size:
        values = (np.nan, np.inf, -np.inf, 1e38, 1e-42, -0.0)
        if changed.dtype.kind in "iu":
            values = (-1, -(2**63), 2**63 - 1, 10**6, 2)
        if changed.dtype.kind in "fiub":
            with np.errstate(all="ignore"):
                changed.flat[rnd.randrange(changed.size)] = rnd.choice(values)
    return changed


def _misaligned(rnd, a):
    memory = np.zeros(a.nbytes + 1, np.uint8)
    memory[1:] = np.frombuffer(a.tobytes(), np.uint8)
    return memory[1:].view(a.dtype).reshape(a.shape)


def _strided(rnd, a):
    if a.ndim == 0:
        return a
    wide = np.repeat(a, 2, axis=-1)
    return wide[..., ::2] if rnd.randrange(2) else a[::-1]


def _read_only(rnd, a):
    a = a.copy()
    a.setflags(write=False)
    return a


ARRAYS = (
    *(_resized, _resized, _resized, _broadcast, _converted, _converted, _with_special),
    *(_with_special, _misaligned, _strided, _read_only),
    lambda rnd, a: a.copy(),
    lambda rnd, a: np.asfortranarray(a),
    lambda rnd, a: a.byteswap().view(a.dtype.newbyteorder()),
    lambda rnd, a: a.view(Subclass),
    lambda rnd, a: a.tolist(),
    lambda rnd, a: Wrapped(a),
    lambda rnd, a: np.ma.masked_array(a),
    lambda rnd, a: memoryview(np.ascontiguousarray(a)),
    lambda rnd, a: array.array("f", [1.0, 2.0]),
    lambda rnd, a: (a, a),
    lambda rnd, a: [a],
    lambda rnd, a: np.zeros(a.shape + (1,) * (40 if a.ndim < 20 else 0), a.dtype)[..., :0],
)
