"""Names for images, made from the names of their files."""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

from nave.data.errors import MalformedData


def unique_ids(names: Sequence[str]) -> list[str]:
    """Relative posix paths without their suffixes; those that differ in the suffix alone keep it."""
    stems = [PurePosixPath(name).with_suffix("").as_posix() for name in names]
    count = Counter(stems)
    ids = [stem if count[stem] == 1 else name for stem, name in zip(stems, names, strict=True)]
    return ids if len(set(ids)) == len(ids) else list(names)


def without_file(folder: Path, names: Iterable[str]) -> list[str]:
    """Of `names` (relative to `folder`, sub-folders too) that are not there; reads each folder once."""
    listings: dict[Path, frozenset[str]] = {}
    lost = []
    for name in names:
        place = (folder / name).parent
        if place not in listings:
            listings[place] = frozenset(path.name for path in place.glob("*"))
        if PurePosixPath(name).name not in listings[place]:
            lost.append(name)
    return lost


def require_files(folder: Path, names: Sequence[str], listed_in: Path) -> None:
    """Raises MalformedData, with the first few, where `listed_in` has names of files that are not there."""
    if lost := without_file(folder, names):
        some = ", ".join(lost[:5]) + (" …" if len(lost) > 5 else "")
        raise MalformedData(f"{listed_in}: {len(lost)} of {len(names)} files are not in {folder}: {some}")
