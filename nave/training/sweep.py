"""The end of a sweep of trainings."""

import shutil
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from nave.results import RUN, read_record
from nave.terminal import show


class Failures(Callback):
    """A sweep in which a training failed, or was refused its folder, says so in the end and fails too."""

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:  # noqa: ARG002 - Hydra's
        """Called by Hydra where the sweep is launched."""
        self._start = datetime.now().astimezone()
        shutil.rmtree(Path(config.hydra.sweep.dir) / "refused", ignore_errors=True)

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:  # noqa: ARG002 - Hydra's
        """Called by Hydra where the sweep was launched."""
        folder = Path(config.hydra.sweep.dir)
        refused = {path.stem: path.read_text() for path in sorted((folder / "refused").glob("*.txt"))}
        failed = _failed(folder, self._start) | refused
        if failed:
            show(*(f"{name}: {reason}\n" for name, reason in failed.items()))
            sys.exit(1)


def _failed(folder: Path, start: datetime) -> dict[str, str]:
    """Reasons, by name, of the trainings that were begun or taken up since ``start`` and did not end well."""
    records = {path.parent.name: read_record(path.parent) or {} for path in sorted(folder.glob(f"*/{RUN}"))}
    return {
        name: record.get("error", record["status"])
        for name, record in records.items()
        if record["status"] != "ok" and datetime.fromisoformat(record["attempts"][-1]["started"]) >= start
    }
