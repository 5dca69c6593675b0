"""What can be wrong with a data set as a whole; a single image that cannot be read is no error of these."""

from pathlib import Path


class MissingDataset(FileNotFoundError):  # noqa: N818 - it names what is missing
    """The data set is not where it was looked for; the message says where, what was wanted, and the cure."""


class MalformedData(ValueError):  # noqa: N818
    """An annotation file says something impossible; the message names the file and the entry."""


def missing(name: str, looked_in: Path | None, layout: str, cure: str) -> MissingDataset:
    """`looked_in` is None when no folder was given at all (neither `data.root` nor NAVE_DATA)."""
    place = "nowhere (neither data.root nor the environment variable NAVE_DATA is set)"
    if looked_in is not None:
        place = f"{looked_in.absolute()}" + ("" if looked_in.exists() else " (which does not exist)")
    return MissingDataset(f"{name} not found; looked in {place}\nLayout wanted:\n{layout}\nTo get it: {cure}")
