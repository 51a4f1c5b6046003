"""Which threads and which instructions compute."""

from __future__ import annotations

from . import _core


def set_num_threads(n: int) -> None:
    """Let each call from now on use at most n threads, the calling one included.

    How many a call does use depends on its size. Results do not depend on it, to the bit. The
    environment variable ``GRU_NATIVE_NUM_THREADS`` sets what holds at the start.

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
