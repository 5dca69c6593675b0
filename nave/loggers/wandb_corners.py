"""What W&B has no option for; each corner of its code that is touched here has a test of its own."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import wandb


@contextmanager
def begun_at(start: float) -> Iterator[None]:
    """Runs that are initialised in the block say that they began at ``start``, in seconds since 1970.

    Only then does W&B show how long the work took, and not its logging: ``wandb.init`` overwrites the setting.
    """
    from wandb.sdk import wandb_run

    module: Any = wandb_run
    module.time = SimpleNamespace(**vars(time) | {"time": lambda: start})
    try:
        yield
    finally:
        module.time = time


@contextmanager
def names_sent_once(config: "wandb.Config") -> Iterator[None]:
    """Sends the names of all overlays' classes at the end of the block.

    W&B sends the whole configuration for each overlay, and copies it to its log: megabytes for 30 images.
    """
    object.__setattr__(config, "persist", lambda: None)  # an ordinary assignment makes a key of the configuration
    try:
        yield
    finally:
        object.__delattr__(config, "persist")
        config.persist()
