"""How the commands beside the main job end: exit code 0; or 1, and one clear line."""

import sys
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec

P = ParamSpec("P")


def command(main: Callable[P, int | None]) -> Callable[P, int]:
    """A ``main`` whose FileNotFoundError or ValueError, which says what a person can cure, is a line, no traceback.

    What else is raised is a fault of the package, and stays an exception.
    """

    @wraps(main)
    def ended(*args: P.args, **kwargs: P.kwargs) -> int:
        try:
            return main(*args, **kwargs) or 0
        except (FileNotFoundError, ValueError) as error:
            print(f"error: {error}", file=sys.stderr)
            return 1

    return ended
