"""One job of ``nave.run`` or ``nave.train``: its folder, what is quiet, and how its failure is reported."""

import logging
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode

from nave.distributed import single_job
from nave.runs.layout import RunFolder, write_whole
from nave.runs.resume import ConflictingResultsError

log = logging.getLogger(__name__)
NO_NEWS = ("does not have many workers", "predict returned None", "`srun` command is available")


def job_folder() -> RunFolder:
    """The folder that Hydra made for the job."""
    return RunFolder(Path(HydraConfig.get().runtime.output_dir))


@contextmanager
def job(folder: RunFolder, no_news: Sequence[str] = ()) -> Iterator[None]:
    """Around the work of one job. An error becomes one line; alone, the job ends the command with exit code 1.

    In a multirun the failure is noted in the job's run.json and the next job is done; the sweep fails in the end.
    ``no_news``: further warnings of Lightning that tell a user nothing.
    """
    _quiet((*NO_NEWS, *no_news))
    try:
        with single_job(folder.path):
            yield
    except Exception as error:
        log.error("error: %s (traceback in %s)", error, folder.record)  # noqa: TRY400 - short
        if HydraConfig.get().mode == RunMode.RUN:
            sys.exit(1)
        if isinstance(error, ConflictingResultsError):  # run.json is that of the other run
            write_whole(folder.refusal, str(error))


def _quiet(messages: Sequence[str]) -> None:
    """Lightning's advice to trainers is no news to somebody who explains images."""
    for package in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(package).setLevel(logging.WARNING)
    for message in messages:
        warnings.filterwarnings("ignore", f".*{message}.*")
    warnings.filterwarnings("ignore", ".*LeafSpec.*", FutureWarning)
