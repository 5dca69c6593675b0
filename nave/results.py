"""The files of one run: image by image while it runs, in the data set's order when it is done."""

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

PREDICTIONS, METRICS, RUN = "predictions.jsonl", "metrics.json", "run.json"


class RunFolder:
    """Where the results of a run lie; several K have a folder each, one K has the run folder itself."""

    def __init__(self, root: Path, ks: Sequence[int | str]) -> None:
        self.root, self.ks = root, tuple(ks)

    def of(self, k: int | str) -> Path:
        """The folder of one K's maps, overlays, predictions and metrics."""
        return self.root / f"k{k}" if len(self.ks) > 1 else self.root

    def part(self, rank: int) -> Path:
        """The file to which one process appends what it has finished."""
        return self.root / "parts" / f"{rank}.jsonl"

    def append(self, rank: int, index: int, k: int | str, line: dict[str, Any]) -> None:
        """Notes one finished image; a kill loses at most the line being written."""
        self.part(rank).parent.mkdir(parents=True, exist_ok=True)
        with self.part(rank).open("a") as file:
            file.write(json.dumps({"index": index, "k": k, "line": line}) + "\n")

    def finished(self) -> list[dict[str, Any]]:
        """What all processes have noted so far, in the data set's order; a half-written last line is left out."""
        parts = sorted((self.root / "parts").glob("*.jsonl"))
        notes = [note for part in parts for note in _whole_lines(part)]
        return sorted(notes, key=lambda note: note["index"])

    def collect(self) -> None:
        """Writes every K's predictions.jsonl from the parts, and removes the parts."""
        notes = self.finished()
        for k in self.ks:
            lines = [note["line"] for note in notes if note["k"] == k]
            write_whole(self.of(k) / PREDICTIONS, "".join(json.dumps(line) + "\n" for line in lines))
        for part in (self.root / "parts").glob("*.jsonl"):
            part.unlink()
        if (self.root / "parts").exists():
            (self.root / "parts").rmdir()


def _whole_lines(path: Path) -> Iterator[dict[str, Any]]:
    for line in path.read_text().splitlines(keepends=True):
        if line.endswith("\n"):
            yield json.loads(line)


def read_predictions(folder: Path) -> list[dict[str, Any]]:
    """The lines of ``folder/predictions.jsonl``.

    Raises:
        FileNotFoundError: if the folder holds no predictions.
        ValueError: for a line that is no JSON, naming it.
    """
    path = folder / PREDICTIONS
    if not path.is_file():
        raise FileNotFoundError(f"{folder} holds no {PREDICTIONS}: is it the folder of a finished run?")
    return [_parsed(path, number, line) for number, line in enumerate(path.read_text().splitlines(), 1)]


def _parsed(path: Path, number: int, line: str) -> dict[str, Any]:
    try:
        parsed: dict[str, Any] = json.loads(line)
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}, line {number}: no JSON ({error.msg})") from error
    return parsed


def write_json(path: Path, content: Any) -> None:
    """Indented JSON, all of it or nothing."""
    write_whole(path, json.dumps(content, indent=2) + "\n")


def write_whole(path: Path, text: str) -> None:
    """A file that is never seen half-written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(text)
    temporary.replace(path)


def prediction_folders(root: Path) -> list[Path]:
    """The folders with predictions in a run: itself, or one for every K.

    Raises:
        FileNotFoundError: if there is none.
    """
    folders = [root] if (root / PREDICTIONS).is_file() else sorted(p.parent for p in root.glob(f"k*/{PREDICTIONS}"))
    if not folders:
        raise FileNotFoundError(f"{root} holds no {PREDICTIONS}: is it the folder of a finished run?")
    return folders


def scored(lines: Iterable[dict[str, Any]]) -> bool:
    """Whether any image has ground truth."""
    return any(line["truth"] is not None for line in lines)
