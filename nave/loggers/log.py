"""Every logger of the configuration, one after the other."""

from collections.abc import Collection
from typing import Protocol, runtime_checkable

from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from nave.loggers.finished import FinishedRun


@runtime_checkable
class Log(Protocol):
    """Where a run is told."""

    def log(self, run: FinishedRun) -> None:
        """All of it; called once."""
        ...


class NotLogged(RuntimeError):  # noqa: N818 - it says what happened
    """A logger could not take what the run has found; the results are on disk."""


def log_run(loggers: DictConfig, run: FinishedRun, told: Collection[str] = ()) -> list[str]:
    """Tells all ``loggers`` of a run but those that were ``told`` before; the names of all that know it then.

    Raises:
        NotLogged: naming the logger that failed, and why.
    """
    # what is no node is an option that the loggers share
    nodes = {str(name): node for name, node in loggers.items() if OmegaConf.is_config(node)}
    names = [name for name in nodes if name not in told]
    for name in names:
        try:
            logger: Log = instantiate(nodes[name], _convert_="all")
            logger.log(run)
        except Exception as error:
            reason = error.__cause__ or error
            raise NotLogged(f"logger={name}: {reason}; run again to log what is computed") from error
    return sorted({*told, *names})
