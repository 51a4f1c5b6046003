"""What a user can set right."""


class UnusableArgument(Exception):
    """Its text is one line that says which argument is unusable, and why."""
