"""Whether W&B is online, where it writes, and what waits for an upload; without W&B itself."""

import netrc
import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from nave.runs.layout import WANDB

MODES = ("online", "offline", "disabled", "shared")
OFFLINE = f"{WANDB}/offline-run-*"


def default_mode() -> str:
    """``online`` if there is a key for the W&B server, else ``offline``."""
    if os.environ.get("WANDB_API_KEY"):
        return "online"
    host = urlsplit(os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai")).hostname or ""
    path = Path(os.environ.get("NETRC", "~/.netrc")).expanduser()
    try:
        return "online" if netrc.netrc(path).authenticators(host) else "offline"
    except (OSError, netrc.NetrcParseError):
        return "offline"


@contextmanager
def staged_in(folder: Path) -> Iterator[None]:
    """Stages tables and artifacts in the run folder, not in the user's home, which may be small on a cluster."""
    before = os.environ.get("WANDB_DATA_DIR")
    os.environ["WANDB_DATA_DIR"] = before or str(folder / WANDB)
    try:
        yield
    finally:
        os.environ.pop("WANDB_DATA_DIR")
        if before is not None:
            os.environ["WANDB_DATA_DIR"] = before


def sync_command(folder: Path) -> str:
    """``wandb sync …`` for all that waits in the folder of a run, or of a sweep; empty if nothing does."""
    own, of_jobs = _waiting(folder, OFFLINE), _waiting(folder, f"*/{OFFLINE}")
    places = [shlex.join(own)] * bool(own) + [f"{shlex.quote(str(folder))}/*/{OFFLINE}"] * bool(of_jobs)
    return f"wandb sync {' '.join(places)}" if places else ""


def _waiting(folder: Path, places: str) -> list[str]:
    """W&B's folders without the mark that ``wandb sync`` leaves; it passes over those that have it."""
    return [str(path) for path in sorted(folder.glob(places)) if not any(path.glob("*.wandb.synced"))]
