"""What ends a command; the texts are one line."""


class UnusableArgument(Exception):
    """An argument that the user can set right: which one, and why."""


class Failure(Exception):
    """The command could not do its work: what was in the way."""


class NoReader(Exception):
    """Nobody reads standard output any more: the end of a command, and no fault of anybody."""
