"""A W&B workspace for the review of runs: scores over K, galleries, training and model, tables."""

from collections.abc import Collection, Iterable
from itertools import islice
from typing import TYPE_CHECKING, Any

from wandb_workspaces import expr, workspaces
from wandb_workspaces.reports.v2 import interface as panels

if TYPE_CHECKING:
    import wandb

PROTOCOLS = ("ap50", "corloc", "ar100", "nave")
CHOICES = ("training", "model.name", "k", "composite.normalisation", "composite.resolution")
GROUPS = ("worst", "best", "random")
COLUMNS = 6  # pictures of a group that stand side by side
NEWEST = 10  # runs that are asked what they hold
ENCODER = panels.Config("encoder")  # model and training in one word
WIDE = workspaces.SectionLayoutSettings(columns=1, rows=1)


def logged_keys(runs: Iterable["wandb.apis.public.Run"]) -> dict[str, str]:
    """What the first runs have logged beside numbers: W&B's kind of thing by key, such as ``table-file``."""
    kinds = {}
    for run in islice(runs, NEWEST):
        for key, value in dict(run.summary).items():
            if hasattr(value, "get") and (kind := value.get("_type")):
                kinds[str(key)] = kind
    return kinds


def workspace(entity: str, project: str, logged: dict[str, str]) -> workspaces.Workspace:
    """The workspace, not yet saved: a view of the project that changes no run.

    The tables among what was ``logged`` have a panel each.
    """
    pictures = [key for key, kind in logged.items() if kind == "image-file"]
    tables = [key for key, kind in logged.items() if kind == "table-file"]
    return workspaces.Workspace(
        name="Maps, boxes and scores",
        entity=entity,
        project=project,
        sections=[
            scores(),
            gallery(pictures),
            encoders(),
            *map(table, sorted(tables, key=lambda key: key != "images")),
        ],
        settings=workspaces.WorkspaceSettings(max_runs=100),
        runset_settings=_by_encoder(),
    )


def scores() -> workspaces.Section:
    """Every protocol over K, AP first: a line for each encoder, and a point for each run."""
    lines = [
        panels.LinePlot(title=f"{name} over k", x="k", y=[name], groupby=ENCODER, groupby_aggfunc="mean")
        for name in PROTOCOLS
    ]
    points = [
        panels.ScatterPlot(title=f"{name} over k, a point a run", x=panels.Config("k"), y=panels.SummaryMetric(name))
        for name in PROTOCOLS
    ]
    each: list[Any] = [panel for pair in zip(lines, points, strict=True) for panel in pair]
    layout = workspaces.SectionLayoutSettings(columns=2, rows=2)
    return workspaces.Section(name="AP over k", panels=each, is_open=True, layout_settings=layout)


def gallery(keys: Collection[str]) -> workspaces.Section:
    """The worst, the best and random images: a run in each row; maps, masks and boxes can be toggled."""
    browsers: list[Any] = [
        panels.MediaBrowser(title=group, media_keys=shown, num_columns=len(shown), mode="grid", grid_y_axis="run")
        for group in GROUPS
        if (shown := sorted(key for key in keys if key.startswith(f"{group}/"))[:COLUMNS])
    ]
    return workspaces.Section(name="Gallery", panels=browsers, is_open=True, layout_settings=WIDE)


def encoders() -> workspaces.Section:
    """Mean scores by training and by model, and every choice beside the scores."""
    bars = [
        panels.BarPlot(title=f"{name} by {by}", metrics=[name], groupby=panels.Config(key), groupby_aggfunc="mean")
        for name in PROTOCOLS[:2]
        for by, key in (("training", "training"), ("model", "model.name"))
    ]
    metrics: list[Any] = [*map(panels.Config, CHOICES), *map(panels.SummaryMetric, PROTOCOLS)]
    columns = [panels.ParallelCoordinatesPlotColumn(metric=metric) for metric in metrics]
    plot = panels.ParallelCoordinatesPlot(title="choices and scores", columns=columns)
    layout = workspaces.SectionLayoutSettings(columns=2, rows=3)
    return workspaces.Section(name="Training and model", panels=[*bars, plot], is_open=True, layout_settings=layout)


def table(name: str) -> workspaces.Section:
    """A table of the selected runs; that of ``images`` can be sorted by ``iou``."""
    panel = panels.WeavePanelSummaryTable(table_name=name)
    return workspaces.Section(name=f"Table: {name}", panels=[panel], is_open=True, layout_settings=WIDE)


def _by_encoder() -> workspaces.RunsetSettings:
    """Runs sorted by training, model and K, which are the first columns of the list of runs."""
    order = [expr.Ordering(expr.Config(key), ascending=True) for key in ("training", "encoder", "k")]
    scored = [f"summary:{name}" for name in (*PROTOCOLS, "seconds/total")]
    pinned = ["run:displayName", "config:training.value", "config:model.value.name", "config:k.value", *scored]
    return workspaces.RunsetSettings(order=order, pinned_columns=pinned)
