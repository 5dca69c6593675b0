"""The main job inside the test's own process, on data that takes no time."""

import json
import sys
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import torch

from nave.run import main
from nave.runs.layout import RUN
from nave.runs.packing import DEAD
from nave.runs.shards import INDEX
from tests.helpers.datasets import Thing, write_folder, write_voc

QUICK = (
    *(
        "model=efficientnet_lite0",
        "training=random",
        "image_size=32",
        "k=2",
        "photographs=null",
        "layers=[1]",
        "concepts=2",
    ),
    *("localization.min_area=4", "localization.border=0", "trainer.accelerator=cpu"),
)


def nave_run(*overrides: str) -> int:
    """The exit code of ``python -m nave.run`` with a quick model and ``overrides``."""
    return exit_code(main, *QUICK, *overrides)


def nave_sweep(folder: Path, *overrides: str) -> int:
    """The same for a multirun."""
    return exit_code(main, "-m", *QUICK, f'hydra.sweep.dir="{folder}"', *overrides)


def exit_code(command: Callable[[], object], *arguments: str) -> int:
    """Of one of the project's commands, called with ``arguments``."""
    # Hydra composes everything once more to read hydra.mode, which nobody sets: a quarter of a quick run's time
    mode = mock.patch("hydra._internal.hydra.Hydra.get_mode", return_value=None)
    with mode, mock.patch.object(sys, "argv", ["nave", *arguments]):
        try:
            command()
        except SystemExit as end:
            return int(end.code or 0)
    return 0


@contextmanager
def one_thread() -> Iterator[None]:
    """As in processes with OMP_NUM_THREADS=1: sums are added up in the same order."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def into(folder: Path) -> str:
    return f'hydra.run.dir="{folder}"'


def record(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / RUN).read_text())
    return found


def results(folder: Path) -> dict[str, bytes]:
    """Every byte that an undisturbed run would write too; what is packed as if it were not."""
    kept = ("maps", "overlays", "predictions.jsonl", "metrics.json", "concepts.json")
    found: dict[str, bytes] = {}
    for path in sorted(folder.rglob("*")):
        if not path.is_file() or not set(path.relative_to(folder).parts) & set(kept) or path.name == INDEX:
            continue
        new = _members(path) if path.suffix == ".tar" else {path: path.read_bytes()}
        new_names = {str(name.relative_to(folder)): content for name, content in new.items()}
        assert not new_names.keys() & found.keys()
        found |= new_names
    return found


def _members(path: Path) -> dict[Path, bytes]:
    with tarfile.open(path, "r:") as shard:
        return {path.parent / one.name: shard.extractfile(one).read() for one in shard if one.name != DEAD}  # type: ignore[union-attr] # all are files


def photographs(root: Path, count: int = 4) -> list[str]:
    """A folder of small photographs without ground truth, which takes no time to score; as overrides."""
    write_folder(root / "photographs", {f"{number:06}.png": (30, 40) for number in range(count)})
    return ["data=folder", f"data.root={root / 'photographs'}"]


def voc(root: Path, count: int = 4) -> list[str]:
    """A small VOC 2007, as overrides."""
    write_voc(root, things={f"{number:06}": [Thing("cat", (5, 3, 20, 18))] for number in range(count)})
    return ["data=voc07", f"data.root={root}"]
