"""Sweeps on a cluster: every job is waited for, also when some are lost."""

from typing import Any

from hydra.core.utils import JobReturn, JobStatus


def outlive_lost_jobs() -> None:
    """Makes submitit's executors return an empty result for a job that was killed.

    As it is, the launcher stops waiting at the first such job: the rest of the sweep would go on unseen, without a
    summary. Which job was lost shows in its run.json.
    """
    from submitit.core.utils import FailedJobError, UncompletedJobError
    from submitit.local.local import LocalExecutor, LocalJob
    from submitit.slurm.slurm import SlurmExecutor, SlurmJob

    def outliving(job: type[Any]) -> type[Any]:
        def results(self: Any) -> list[Any]:
            try:
                return list(job.results(self))
            except (FailedJobError, UncompletedJobError):
                return [JobReturn(_return_value=None, status=JobStatus.COMPLETED)]

        return type(f"Outliving{job.__name__}", (job,), {"results": results})

    SlurmExecutor.job_class, LocalExecutor.job_class = outliving(SlurmJob), outliving(LocalJob)
