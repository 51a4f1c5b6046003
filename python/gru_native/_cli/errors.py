"""What ends a command; the text is one line."""


class UnusableArgument(Exception):
    """An argument that the user can set right: which one, and why."""


class Failure(Exception):
    """The command could not do its work: what was in the way."""
