"""Which threads and which instructions compute."""

from __future__ import annotations

from . import _core


def set_num_threads(n: int) -> None:
    """Let each call from now on use at most n threads, the calling one included.

    How many a call does use depends on its size, and on what its like took before: see
    ``set_adaptive_threads``. Results do not depend on it, to the bit. The environment variable
    ``GRU_NATIVE_NUM_THREADS`` sets what holds at the start.

    Parameters
    ----------
    n : int
        1 to 256.

    Raises
    ------
    ValueError
        For another number.
    TypeError
        For what is no whole number.
    """
    _core.set_num_threads(n)


def get_num_threads() -> int:
    """Return the most threads that one call uses.

    Returns
    -------
    int
        What ``set_num_threads`` or ``GRU_NATIVE_NUM_THREADS`` set, else the cores that this process
        may use.

    Raises
    ------
    ValueError
        If ``GRU_NATIVE_NUM_THREADS`` is no such number.
    """
    return _core.get_num_threads()


def set_adaptive_threads(adaptive: bool) -> None:
    """Let calls use fewer threads where more have been slower of late, or not.

    Threads that work on one thing wait for each other, thousands of times a second. Where the
    processors are far apart, or have other work, that takes longer than it saves. So each kind of
    call is timed, on one thread too from time to time; it goes on by fewer threads after a few
    calls that were slower than those, and tries more again later. Results do not depend on it, to
    the bit. What is timed or tested with a fixed number of threads turns it off. The environment
    variable ``GRU_NATIVE_ADAPTIVE_THREADS``, 0 or 1, sets what holds at the start, else it is on.

    Parameters
    ----------
    adaptive : bool
        Whether the number adapts.

    Raises
    ------
    TypeError
        For what is no bool.
    """
    if not isinstance(adaptive, bool):
        raise TypeError(f"adaptive is {_core.a_type(adaptive)}; expected a bool")
    _core.set_adaptive_threads(adaptive)


def get_adaptive_threads() -> bool:
    """Return whether the number of threads adapts.

    Returns
    -------
    bool
        What ``set_adaptive_threads`` or ``GRU_NATIVE_ADAPTIVE_THREADS`` set, else True.

    Raises
    ------
    ValueError
        If ``GRU_NATIVE_ADAPTIVE_THREADS`` is neither 0 nor 1.
    """
    return _core.get_adaptive_threads()


def active_isa() -> str:
    """Return the instruction set that computes.

    It is the last of ``available_isas()``, unless the environment variable ``GRU_NATIVE_ISA`` names
    another one.

    Returns
    -------
    str
        ``"baseline"``, ``"avx2"`` or ``"avx512"``.

    Raises
    ------
    ValueError
        If ``GRU_NATIVE_ISA`` names one that this CPU cannot run.
    """
    return _core.active_isa()


def available_isas() -> list[str]:
    """Return the instruction sets that this CPU can run.

    Returns
    -------
    list of str
        The slowest first.
    """
    return _core.available_isas()
