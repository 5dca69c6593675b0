"""The command that uploads what was logged to W&B offline."""

import shlex
from collections.abc import Iterator
from pathlib import Path

from nave.runs.layout import WANDB

FEW = 3  # paths that are named one by one


def sync_command(folder: Path) -> str:
    """``wandb sync …`` for all that waits in the folder of a run or of a sweep, in one line; empty if nothing does."""
    for place in (WANDB, f"*/{WANDB}"):
        if waiting := sorted(_waiting(folder, place)):
            return "wandb sync " + (
                shlex.join(map(str, waiting))
                if len(waiting) <= FEW
                else f"{shlex.quote(str(folder))}/{place}/offline-run-*"
            )
    return ""


def _waiting(folder: Path, place: str) -> Iterator[Path]:
    """W&B's folders without the mark that ``wandb sync`` leaves."""
    return (path for path in folder.glob(f"{place}/offline-run-*") if not any(path.glob("*.wandb.synced")))
