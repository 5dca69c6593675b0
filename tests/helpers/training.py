"""``python -m nave.train`` inside the test's process, with a small network and small images."""

import json
from pathlib import Path
from typing import Any

from nave import run
from nave.train import main
from tests.helpers.datasets import write_stl10
from tests.helpers.running import exit_code

QUICK = ("model=resnet_tiny", "image_size=32", "augmentation=weak", "epochs=2", "loader.batch_size=8", "logger=[]")


def nave_train(*overrides: str) -> int:
    """The exit code of ``python -m nave.train`` with quick settings and ``overrides``."""
    return exit_code(main, *_each_once(*QUICK, "trainer.accelerator=cpu", *overrides))


def nave_run(*overrides: str) -> int:
    """The exit code of ``python -m nave.run``, likewise."""
    quick = ("model=resnet_tiny", "image_size=32", "k=2", "photographs=null", "localization.min_area=4")
    return exit_code(run.main, *_each_once(*quick, "trainer.accelerator=cpu", *overrides))


def _each_once(*overrides: str) -> list[str]:
    """The last of the overrides with the same key, since Hydra refuses a group twice."""
    last = {override.partition("=")[0]: override for override in overrides}
    return sorted(last.values(), key=lambda override: override != "-m")


def stl10(root: Path, count: int = 20) -> list[str]:
    """Writes a small STL-10, image i of class i modulo ten; the overrides that select it."""
    write_stl10(root, "train", count)
    return ["data=stl10", f"data.root={root}", "validation=0.2"]


def card(folder: Path) -> dict[str, Any]:
    """The card of the encoder that was trained in ``folder``."""
    content: dict[str, Any] = json.loads(folder.with_name(f"{folder.name}.json").read_text())
    return content
