"""The known name that a wrong one was probably meant to be, for the end of an error; without torch."""

from collections.abc import Iterable
from difflib import get_close_matches


def near(given: str, known: Iterable[str], prefix: str = "") -> str:
    """The nearest known name; of some, one with the same letters: vits41 is vits14 rather than vits16."""
    close = get_close_matches(given, list(known), n=5, cutoff=0.5)
    close.sort(key=lambda one: sorted(one) != sorted(given))
    return f" Did you mean {prefix}{close[0]}?" if close else ""
