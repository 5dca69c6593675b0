"""Weights & Biases: one run a job, made for looking at maps and boxes the next morning."""

import hashlib
import netrc
import os
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from nave.loggers.finished import FinishedRun, OfOneK
from nave.loggers.media import picture
from nave.loggers.picks import picks

if TYPE_CHECKING:
    import wandb
    from lightning.pytorch.loggers import Logger

COLUMNS = ("picture", "image_id", "group", "k", "iou", "clusters", "components", "inertia")


class WandbReview:
    """Configuration, scores with intervals, timings; pictures with a map for every K, truth and boxes to toggle.

    Args:
        project: W&B's project.
        entity: the team; None for the key's owner.
        images: pictures at most: the worst, the best, and random ones, a third each.
        artifact: keep the run folder as an artifact too.
        tags: W&B's tags.
        mode: ``online`` or ``offline``; None asks WANDB_MODE, then whether there is a key. There is never a prompt.
    """

    def __init__(
        self,
        project: str,
        entity: str | None = None,
        images: int = 64,
        artifact: bool = False,
        tags: Sequence[str] = (),
        mode: str | None = None,
    ) -> None:
        self.project, self.entity, self.images, self.artifact = project, entity, images, artifact
        self.tags, self.mode = tuple(tags), mode or os.environ.get("WANDB_MODE") or default_mode()

    def log(self, run: FinishedRun) -> None:
        """Called once; prints the line that uploads what could only be logged offline."""
        with _staged_in(run.folder):
            board = self._begin(run)
            if run.found:
                self._fill(board, run)
            else:
                board.summary["error"] = run.record["error"]
            folder, offline = Path(board.dir).parent, board.offline
            board.finish(exit_code=0 if run.found else 1)
        if offline:
            print(f"to upload: wandb sync {shlex.quote(str(folder))}")

    def training_logger(self, folder: Path, attempt: int) -> "Logger":  # noqa: ARG002 - W&B appends by itself
        """One run a training: a further attempt goes on in it where W&B is online."""
        from lightning.pytorch.loggers import WandbLogger

        identity = hashlib.sha256(str(folder.absolute()).encode()).hexdigest()[:12]
        return WandbLogger(
            name=folder.name,
            save_dir=folder,
            id=identity,
            project=self.project or "nave",  # a training's ${name} is null unless it is given one
            offline=self.mode == "offline",
            entity=self.entity,
            tags=list(self.tags),
            job_type="train",
        )

    def _begin(self, run: FinishedRun) -> "wandb.Run":
        import wandb

        return wandb.init(
            project=self.project,
            entity=self.entity,
            dir=run.folder,
            name=run.folder.name,
            group=run.sweep,
            job_type="explain",
            tags=self.tags,
            config={**run.record["config"], "encoder": _encoder(run), "run": _provenance(run)},
            mode=self.mode,  # type: ignore[arg-type] # wandb checks the word itself
            reinit="finish_previous",
            settings=wandb.Settings(console="off", silent=True, disable_code=True, x_disable_stats=True),
        )

    def _fill(self, board: "wandb.Run", run: FinishedRun) -> None:
        board.define_metric("*", step_metric="k")
        for k, metrics in run.metrics():
            board.log({"k": k, **metrics})
            if len(run.found) > 1:
                board.summary.update({f"k{k}/{name}": value for name, value in metrics.items()})
        board.summary.update(run.figures())
        if run.dataset is not None and self.images:
            self._show(board, run)
        if self.artifact:
            board.log_artifact(_artifact(run))

    def _show(self, board: "wandb.Run", run: FinishedRun) -> None:
        import wandb

        overlaps = run.overlaps()
        chosen = picks(overlaps, self.images, run.record["config"]["seed"])
        pictures = {image_id: picture(run, image_id, group) for image_id, group in chosen.items()}
        rows = [
            [pictures.get(image_id), image_id, chosen.get(image_id, ""), *_figures(one, image_id)]
            for one in run.found
            for image_id in one.lines
        ]
        rows.sort(key=lambda row: (row[4] is None, row[4], row[1], row[3]))
        # a key each: W&B wants one size of all pictures under one key
        gallery = {f"{chosen[image_id]}/{image_id}": shown for image_id, shown in pictures.items()}
        board.log({**gallery, "images": wandb.Table(columns=list(COLUMNS), data=rows)})


def _figures(one: OfOneK, image_id: str) -> list[Any]:
    line = one.lines[image_id]
    return [str(one.k), one.overlap(image_id), line["clusters"], len(line["components"]), line["inertia"]]


def default_mode() -> str:
    """``online`` where a key of W&B's server is at hand, ``offline`` elsewhere."""
    if os.environ.get("WANDB_API_KEY"):
        return "online"
    host = urlsplit(os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai")).hostname or ""
    path = Path(os.environ.get("NETRC", "~/.netrc")).expanduser()
    try:
        return "online" if netrc.netrc(path).authenticators(host) else "offline"
    except (OSError, netrc.NetrcParseError):
        return "offline"


def _encoder(run: FinishedRun) -> str:
    """Model and training in one word, by which W&B's panels can group."""
    config = run.record["config"]
    return f"{config['model']['name']}-{run.record.get('training', config['training'])}"


def _provenance(run: FinishedRun) -> dict[str, Any]:
    """What of the record says how the figures came about; the configuration is there already."""
    left_out = ("config", "unreadable", "seconds", "traceback")
    return {key: value for key, value in run.record.items() if key not in left_out}


def _artifact(run: FinishedRun) -> "wandb.Artifact":
    import wandb

    artifact = wandb.Artifact(f"{run.folder.parent.name}-{run.folder.name}".replace("=", "-")[:128], type="run")
    for path in sorted(run.folder.rglob("*")):
        inside = path.relative_to(run.folder)
        if path.is_file() and inside.parts[0] not in ("wandb", ".hydra"):
            artifact.add_file(str(path), inside.as_posix())
    return artifact


@contextmanager
def _staged_in(folder: Path) -> Iterator[None]:
    """Tables and artifacts are staged beside the run, not in the user's home, which may be small on a cluster."""
    before = os.environ.get("WANDB_DATA_DIR")
    os.environ["WANDB_DATA_DIR"] = before or str(folder / "wandb")
    try:
        yield
    finally:
        os.environ.pop("WANDB_DATA_DIR")
        if before is not None:
            os.environ["WANDB_DATA_DIR"] = before
