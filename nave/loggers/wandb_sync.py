"""The command that uploads what was logged to W&B offline."""

import shlex
from pathlib import Path

from nave.runs.layout import WANDB

OFFLINE = f"{WANDB}/offline-run-*"


def sync_command(folder: Path) -> str:
    """``wandb sync …`` for all that waits in the folder of a run, or of a sweep; empty if nothing does."""
    if waiting := _waiting(folder, OFFLINE):
        return f"wandb sync {shlex.join(waiting)}"
    return f"wandb sync {shlex.quote(str(folder))}/*/{OFFLINE}" if _waiting(folder, f"*/{OFFLINE}") else ""


def _waiting(folder: Path, places: str) -> list[str]:
    """W&B's folders without the mark that ``wandb sync`` leaves; it passes over those that have it."""
    return [str(path) for path in sorted(folder.glob(places)) if not any(path.glob("*.wandb.synced"))]
