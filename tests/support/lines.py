"""Signals at every line of Python in turn."""

import sys
from pathlib import Path

import numpy as np

import gru_native

PACKAGE = str(Path(gru_native.__file__).parent)


def interrupted_after(line, f):
    """Whether f() has come to so many lines of the package, of which the last one raised."""
    seen = 0

    def trace(frame, event, _):
        nonlocal seen
        if not frame.f_code.co_filename.startswith(PACKAGE):
            return None
        if event == "line":
            seen += 1
            if seen == line:
                raise KeyboardInterrupt
        return trace

    sys.settrace(trace)
    try:
        f()
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(None)
    return False


def assert_all_or_nothing(change, state, begin_anew, before, undone=False):
    """``change`` is done or not done, wherever it is interrupted; if ``undone``, then not.
    ``state`` says how things are: a dictionary of arrays; ``begin_anew`` makes them as ``before``.
    """
    change()
    after = state()
    assert not same(before, after)
    line, ended = 0, True
    while ended:
        begin_anew()
        line += 1
        ended = interrupted_after(line, change)
        now = state()
        done = same(now, after) and not (undone and ended)
        assert same(now, before) or done, f"half done when interrupted at line {line}"
    assert same(now, after)


def same(one, other):
    return set(one) == set(other) and all(np.array_equal(one[k], other[k]) for k in one)
