"""Many sequences that come in pieces, of which any few have input at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypedDict

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import _core
from ._arguments import memory_for, of_dtype, size
from ._weights import Array, missing


class SavedSessions(TypedDict):
    """All sessions of a pool.

    Made by ``SessionPool.save_state``.

    Attributes
    ----------
    capacity : int
        That of the pool.
    sessions : ndarray, (count,), int64
        The ids, ascending.
    states : ndarray, (count, numbers), of the pool's dtype
        The state of each: of each recurrent layer in turn h, then, for the LSTM, c.
    """

    capacity: int
    sessions: NDArray[np.int64]
    states: Array


class SessionPool:
    """A layer or chain at work on many sessions, each a stream with a state of its own.

    Made by ``layer.sessions(capacity)``. Whoever has input goes forward in one batch, and gets
    what a stream of its own would give it, bit for bit, whatever its company. A pool keeps the
    weights of the moment at which it was made. Several threads may use it at once, also for steps,
    as long as these are of different sessions.

    Every method that takes ids raises ValueError for one that no open session has, and RuntimeError
    for a session that another thread is stepping; nothing is then changed.

    Examples
    --------
    >>> import gru_native, numpy as np
    >>> pool = gru_native.GRU(3, 5, seed=1).sessions(1000)
    >>> anna, bert = pool.open(), pool.open()
    >>> pool.step([anna, bert], np.ones((2, 3), np.float32)).shape
    (2, 5)
    >>> pool.step(bert, np.ones(3, np.float32)).shape
    (5,)
    """

    def __init__(self, cores: Any, dtype: np.dtype[Any], capacity: int, *batch_first: bool) -> None:
        pool_type = of_dtype(dtype, _core.SessionPool32, _core.SessionPool64)
        slots = size("capacity", capacity)
        with memory_for("the states", capacity=slots):
            self._core = pool_type(cores, slots, *batch_first)
        # A Python function around it would be a tenth of a small step.
        if type(self).step is SessionPool.step:
            self.step = self._core.step  # type: ignore[method-assign]

    def open(self) -> int:
        """Begin a session, in the zero state.

        Returns
        -------
        int
            Its id, which is no other session's, and was none's before 2^31 sessions had its place.

        Raises
        ------
        RuntimeError
            If the pool is full: then ``reserve`` makes room.
        """
        return self._core.open()

    def close(self, session: int) -> None:
        """End a session; its id is unknown from then on.

        Parameters
        ----------
        session : int
            Its id.

        Raises
        ------
        ValueError
            For an id of no open session.
        TypeError
            For one that is no whole number.
        RuntimeError
            While another thread is stepping the session.
        """
        self._core.close(session)

    def reset(self, session: int) -> None:
        """Set a session back to the zero state.

        Parameters
        ----------
        session : int
            Its id.

        Raises
        ------
        ValueError
            For an id of no open session.
        TypeError
            For one that is no whole number.
        RuntimeError
            While another thread is stepping the session.
        """
        self._core.reset(session)

    def step(
        self,
        sessions: int | Sequence[int] | ArrayLike,
        x: ArrayLike,
        lengths: ArrayLike | None = None,
    ) -> Array:
        """Take some sessions forward by one step, or by a chunk of steps each.

        Parameters
        ----------
        sessions : int or (n,) integers
            Their ids, each once.
        x : array_like
            One step, (n, input_size), or a chunk, (seq, n, input_size), with ``batch_first``
            (n, seq, input_size); for a single id (input_size,) or (seq, input_size).
        lengths : (n,) integers, optional
            Steps of each session in a chunk, 0 to seq; without it all have seq.

        Returns
        -------
        ndarray
            The outputs, with x's shape and the output size last; 0 past the end of each chunk.

        Raises
        ------
        ValueError
            For an id of no open session or one that is there twice, for wrong shapes and lengths.
        TypeError
            For ids that are no whole numbers, and for an x of a wrong dtype.
        RuntimeError
            For a session that another thread is stepping.
        """
        return self._core.step(sessions, x, lengths)

    def state(self, session: int) -> Any:
        """Copy the state of a session.

        Parameters
        ----------
        session : int
            Its id.

        Returns
        -------
        ndarray, tuple
            As ``Stream.state`` with ``batch_size=1``: h, or (h, c) for the LSTM, each
            (num_layers, 1, size); of a chain a tuple with that of each recurrent layer.

        Raises
        ------
        ValueError
            For an id of no open session.
        TypeError
            For one that is no whole number.
        RuntimeError
            While another thread is stepping the session.
        """
        return self._core.state(session)

    def set_state(self, session: int, state: ArrayLike | Sequence[Any] | None) -> None:
        """Set the state of a session.

        Parameters
        ----------
        session : int
            Its id.
        state : ndarray or tuple or None
            As ``state`` returns it, or a stream's; None means zeros.

        Raises
        ------
        ValueError, TypeError
            For a state of another shape or dtype.
        """
        self._core.set_state(session, state)

    def reserve(self, capacity: int) -> None:
        """Make room for more sessions. Those that are open stay as they are.

        Parameters
        ----------
        capacity : int
            Sessions that may be open at once. If the pool must grow, it at least doubles.

        Raises
        ------
        ValueError
            For a capacity below 1, or larger than memory can be.
        TypeError
            For one that is no whole number.
        """
        slots = size("capacity", capacity)
        with memory_for("the states", capacity=slots):
            self._core.reserve(slots)

    def save_state(self) -> SavedSessions:
        """Copy all sessions: to another process, or to disk.

        Returns
        -------
        SavedSessions
            A dict of arrays, which pickles and fits into ``numpy.savez``. Sessions that open or go
            forward meanwhile may be in it as before or as after.

        Raises
        ------
        RuntimeError
            While another thread steps a session.
        """
        sessions, states = self._core.save_state()
        return {"capacity": self.capacity, "sessions": sessions, "states": states}

    def load_state(self, saved: SavedSessions) -> None:
        """Close all sessions, and open saved ones under the ids that they had.

        Parameters
        ----------
        saved : SavedSessions
            What ``save_state`` of a pool of the same layers returned. The pool grows to
            its capacity.

        Raises
        ------
        ValueError, TypeError
            For anything else; the sessions are then as they were.
        RuntimeError
            While another thread steps a session.
        """
        try:
            capacity, sessions, states = (saved[n] for n in ("capacity", "sessions", "states"))
        except (KeyError, TypeError, IndexError) as error:
            raise TypeError(
                f"saved is {_core.a_type(saved)}; expected what save_state returned"
            ) from error
        name = "saved['capacity']"
        slots = size(name, capacity)
        with memory_for("the states", **{name: slots}):
            self._core.load_state(slots, sessions, states)

    @property
    def sessions(self) -> list[int]:
        """The ids of all that are open, ascending."""
        return self._core.sessions()

    @property
    def capacity(self) -> int:
        """Sessions that may be open at once."""
        return self._core.capacity

    def __getattr__(self, name: str) -> Any:
        raise missing(self, name)

    def __len__(self) -> int:
        return len(self.sessions)

    def __repr__(self) -> str:
        return f"<SessionPool: {len(self)} of {self.capacity} sessions open>"
