"""The error of a command line."""


class CommandLineError(ValueError):
    """An override that cannot be; the message names it, the choices and the nearest one."""
