"""Explains images: ``python -m nave.run model=vits14 data=sample k=5``; ``--help`` lists every choice."""

from typing import TYPE_CHECKING

import hydra
from omegaconf import DictConfig

from nave.command_line.overrides import answer, with_quoting_hint
from nave.config import register

if TYPE_CHECKING:
    from nave.runs.reader import Run

register()


def explain(cfg: DictConfig) -> float | None:
    """One job; its score by ``objective``, for a sweeper that searches.

    In a multirun a failing job is noted in its run.json and the others are done; the summary fails then.
    """
    from nave.command_line.job import job, job_folder
    from nave.pipeline import run
    from nave.processes.distributed import is_rank_zero  # torch: imported when the command line is known to be sound
    from nave.runs.reader import Run
    from nave.runs.summary import show_run
    from nave.runs.sweep import follow_up

    folder = job_folder()
    score: float | None = None
    with job(folder):
        finished = Run(folder, run(cfg, folder))
        if is_rank_zero():
            score = _best(finished, cfg.objective)
            show_run(finished)
            follow_up(finished, cfg.report)
    return score


def _best(run: "Run", objective: str) -> float | None:
    """Over the numbers of clusters."""
    values = (one.scores[objective]["value"] for one in run.at_k if objective in one.scores)
    return max((value for value in values if value is not None), default=None)


main = with_quoting_hint(hydra.main(version_base="1.3", config_path="pkg://nave.conf", config_name="config")(explain))

if __name__ == "__main__":
    from nave.run import main as importable  # a cluster's jobs find it by name; ``__main__`` they could not

    answer("config")
    importable()
