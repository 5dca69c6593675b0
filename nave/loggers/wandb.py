"""Weights & Biases: one W&B run for every K of a run, with maps and boxes for review."""

import hashlib
import os
import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nave.data.interface import Dataset, positions
from nave.loggers.interface import flat_scores, ranks, run_statistics, select_examples
from nave.loggers.wandb_concepts import concept_tables
from nave.loggers.wandb_media import names_sent_once, picture, thumbnail
from nave.loggers.wandb_mode import MODES, default_mode, staged_in, sync_command
from nave.runs.layout import CLAIM, WANDB, beside, k_text
from nave.runs.reader import Run, RunAtK, mean_overlaps
from nave.runs.record import training_of

if TYPE_CHECKING:
    import wandb
    from lightning.pytorch.loggers import Logger


DATED = re.compile(r"\d{4}-\d\d-\d\d_")  # folders that nobody named
LONGEST_NAME = 128  # characters, of projects and artifacts
LONGEST_TAG = 64
MOST_ROWS = 10_000  # of the table of images: as many as W&B shows
COLUMNS = ("picture", "image_id", "gallery", "k", "iou", "clusters", "components", "inertia")


class WandbLogger:
    """Logs configuration, scores with intervals, times, and images with maps and boxes that can be toggled.

    Args:
        mode: W&B mode; None for WANDB_MODE, else ``online`` if there is a key and ``offline`` if not, without a prompt.

    Raises:
        ValueError: If W&B does not allow the name of the project, or the mode is unknown.
    """

    def __init__(
        self,
        *,
        project: str,
        entity: str | None,
        images: int,
        artifact: bool,
        tags: Sequence[str],
        mode: str | None,
    ) -> None:
        if project and (unfit := re.findall(r"[/\\#?%:]", project) or len(project) > LONGEST_NAME):
            reason = f"no more than {LONGEST_NAME} characters" if unfit is True else f"no {unfit[0]}"
            raise ValueError(f"logger.wandb.project={project!r}: W&B allows {reason} in a project's name")
        if mode not in (None, *MODES):
            raise ValueError(f"logger.wandb.mode={mode!r}: choose {', '.join(MODES)}, or null")
        self.project, self.entity, self.images, self.artifact = project, entity, images, artifact
        self.tags, self.mode = tuple(tags), mode or os.environ.get("WANDB_MODE") or default_mode()

    def log(self, run: Run, dataset: Dataset | None) -> None:
        """Logs a run at every K; prints the command that uploads it if offline, unless the sweep does so at its end."""
        with staged_in(run.folder.path):
            for i, one in enumerate(run.at_each_k()):
                self._log_one(one, dataset, self.artifact and not i)
        if run.sweep is None and (upload := sync_command(run.folder.path)):
            print(f"to upload: {upload}")

    def _log_one(self, run: Run, dataset: Dataset | None, artifact: bool) -> None:
        board = self._begin(run)
        if run.finished:
            self._fill(board, run, dataset)
        else:
            board.summary["error"] = run.record["error"]
        if run.finished and artifact:
            board.log_artifact(_artifact(run))
        board.finish(exit_code=0 if run.finished else 1)

    def training_logger(self, folder: Path, attempt: int) -> "Logger":  # noqa: ARG002 - W&B appends by itself
        """Creates a Lightning logger whose W&B run a resumed training continues if online."""
        from lightning.pytorch.loggers import WandbLogger

        return WandbLogger(
            name=folder.name,
            save_dir=folder,
            id=_id(folder),
            project=self.project or "nave",  # ${name} of a training is null by default
            offline=self.mode == "offline",
            entity=self.entity,
            tags=list(self.tags),
            job_type="train",
        )

    def log_comparison(self, page: Path, tables: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
        """Logs a page on several runs, and its tables, as a W&B run of their group; again if they are compared again.

        A page whose images lie beside it stays on disk.
        """
        import wandb

        folder = page.parent
        logged = {
            name: wandb.Table(columns=list(lines[0]), data=[list(line.values()) for line in lines[:MOST_ROWS]])
            for name, lines in tables.items()
            if lines
        }
        with staged_in(folder):
            board = self._open(
                folder, "diff", name=folder.name, group=folder.name, tags=[*self.tags], id=_id(folder), resume="allow"
            )
            board.log(logged | ({} if beside(page).is_dir() else {"page": wandb.Html(str(page), inject=False)}))
            board.finish()
        if upload := sync_command(folder):
            print(f"to upload: {upload}")

    def _begin(self, run: Run) -> "wandb.Run":
        return self._open(
            run.folder.path,
            "explain",
            name=_name(run),
            group=run.sweep or run.folder.path.name,
            tags=[*self.tags, *_tags(run)],
            config={**run.record["config"], **_k(run), **_encoder(run), "run": _provenance(run)},
        )

    def _open(self, folder: Path, job_type: str, **options: Any) -> "wandb.Run":
        import wandb

        return wandb.init(
            project=self.project,
            entity=self.entity,
            dir=folder,
            job_type=job_type,
            mode=self.mode,  # type: ignore[arg-type] # one of MODES
            reinit="finish_previous",
            settings=wandb.Settings(console="off", silent=True, disable_code=True, x_disable_stats=True),
            **options,
        )

    def _fill(self, board: "wandb.Run", run: Run, dataset: Dataset | None) -> None:
        (at_k,) = run.at_k
        board.log({**_k(run), **flat_scores(at_k)})  # a plot's axis takes what was logged, not what was configured
        board.summary.update(run_statistics(run))
        if dataset is not None and self.images:
            self._show(board, run, dataset)

    def _show(self, board: "wandb.Run", run: Run, dataset: Dataset) -> None:
        import wandb

        (at_k,) = run.at_k
        overlaps, seed = mean_overlaps(run.at_k), run.record["config"]["seed"]
        chosen = select_examples(overlaps, self.images, seed)
        keys, indices = ranks(chosen), positions(dataset, chosen)
        # one key per image, since W&B requires all images under a key to have the same size
        gallery = {keys[name]: picture(run, dataset, indices[name], group) for name, group in chosen.items()}
        pictures = {name: thumbnail(at_k, dataset, indices[name]) for name in chosen}
        rows = [[pictures.get(name), name, keys.get(name, ""), *_cells(at_k, name)] for name in listed(overlaps, seed)]
        rows.sort(key=lambda row: (row[4] is None, row[4], row[1]))
        with names_sent_once(board.config):
            board.log(
                {**gallery, "images": wandb.Table(columns=list(COLUMNS), data=rows), **concept_tables(at_k, dataset)}
            )


def listed(overlaps: Mapping[str, float | None], seed: int) -> Collection[str]:
    """The images of the table: all of them, or of too many the worst, the best and random ones; with the pictures'."""
    return overlaps if len(overlaps) <= MOST_ROWS else select_examples(overlaps, MOST_ROWS, seed)


def _cells(run: RunAtK, image_id: str) -> list[Any]:
    line = run.lines[image_id]
    return [run.k, run.overlaps[image_id], line["clusters"], len(line["components"]), line["inertia"]]


def _id(folder: Path) -> str:
    """By which what is logged again continues its W&B run, if online."""
    return hashlib.sha256(str(folder.absolute()).encode()).hexdigest()[:12]


def _name(run: Run) -> str:
    """The folder's name, with the one K in the place of all; the encoder comes before a date."""
    name, every = run.folder.path.name, "+".join(map(k_text, run.record.get("ks", ())))
    name = f"{_encoder(run)['encoder']}-{name}" if DATED.match(name) else name
    if len(run.record.get("ks", ())) < 2 or not run.finished:
        return name
    (at_k,) = run.at_k
    return name.replace(f"k{every}", f"k{at_k.k}") if f"k{every}" in name else f"{name}-k{at_k.k}"


def _k(run: Run) -> dict[str, int | None]:
    """K as a number, by which panels can group and sort runs; None for what is none (``auto``, a baseline)."""
    if not run.finished:
        return {}
    (at_k,) = run.at_k
    return {"k": int(at_k.k) if at_k.k.isdigit() else None}


def _tags(run: Run) -> list[str]:
    """Names of model, training and data set, as far as the run came to know them."""
    names = (run.record["config"]["model"]["name"], training_of(run.record), run.record.get("data"))
    return [name[:LONGEST_TAG] for name in dict.fromkeys(names) if name]


def _encoder(run: Run) -> dict[str, str]:
    """What the training is called; and ``encoder``, model and training in one word, by which panels can group runs."""
    training = training_of(run.record)
    return {"training": training, "encoder": f"{run.record['config']['model']['name']}-{training}"}


def _provenance(run: Run) -> dict[str, Any]:
    """The record without the configuration, which is logged separately, and details."""
    left_out = ("config", "unreadable", "seconds", "traceback")
    return {key: value for key, value in run.record.items() if key not in left_out}


def _artifact(run: Run) -> "wandb.Artifact":
    import wandb

    folder = run.folder.path
    name = re.sub(r"[^\w.-]+", "-", f"{folder.parent.name}-{folder.name}", flags=re.ASCII)[:LONGEST_NAME]
    artifact = wandb.Artifact(name, type="run")
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder)
        if path.is_file() and inside.parts[0] not in (WANDB, ".hydra", CLAIM):
            artifact.add_file(str(path), inside.as_posix())
    return artifact
