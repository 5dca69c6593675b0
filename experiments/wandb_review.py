"""Builds a W&B workspace for reviewing runs: scores over K, galleries, parallel coordinates.

    pip install wandb-workspaces
    python -m experiments.wandb_review --entity TEAM --project nave

The workspace is a saved view of the project: running the script again creates another one and changes no run. Runs
that were logged offline appear once they are uploaded with the command ``wandb sync`` that each run prints.
"""

import argparse

import wandb_workspaces.reports.v2 as panels
from wandb_workspaces import workspaces

PROTOCOLS = ("corloc", "ap50", "ar100", "nave")
CHOICES = ("model.name", "training", "k", "composite.normalisation", "composite.resolution")
WIDE = workspaces.SectionLayoutSettings(columns=1, rows=1)
ENCODER = panels.Config("encoder")  # model and training in one word


def review(entity: str, project: str) -> workspaces.Workspace:
    """The workspace, not yet saved.

    W&B adds panels for everything else by prefix: ``worst``, ``best`` and ``random`` are galleries of images whose
    maps, masks and boxes can be toggled.
    """
    return workspaces.Workspace(
        name="Review of maps and boxes",
        entity=entity,
        project=project,
        sections=[scores(), images(), choices()],
        settings=workspaces.WorkspaceSettings(max_runs=100),
        auto_generate_panels=True,
    )


def scores() -> workspaces.Section:
    """Every protocol over K, one line per encoder, and the means over K."""
    lines = [
        panels.LinePlot(title=f"{name} over k", x="k", y=[name], groupby=ENCODER, groupby_aggfunc="mean")
        for name in PROTOCOLS
    ]
    bars = [
        panels.BarPlot(title=f"{name}, mean over k", metrics=[name], groupby=ENCODER, groupby_aggfunc="mean")
        for name in PROTOCOLS
    ]
    return workspaces.Section(name="Scores", panels=[*lines, *bars], is_open=True)


def images() -> workspaces.Section:
    """The table of all images of the selected runs, which can be sorted by ``iou``."""
    table = panels.WeavePanelSummaryTable(table_name="images")
    return workspaces.Section(name="Images", panels=[table], is_open=True, layout_settings=WIDE)


def choices() -> workspaces.Section:
    """Parallel coordinates of options and scores."""
    metrics = [*map(panels.Config, CHOICES), *map(panels.SummaryMetric, PROTOCOLS)]
    columns = [panels.ParallelCoordinatesPlotColumn(metric=metric) for metric in metrics]
    plot = panels.ParallelCoordinatesPlot(title="choices and scores", columns=columns)
    return workspaces.Section(name="Choices", panels=[plot], is_open=True, layout_settings=WIDE)


def main() -> None:
    """Saves the workspace and prints its address; needs a key (wandb login)."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entity", required=True, help="W&B user or team")
    parser.add_argument("--project", default="nave")
    options = parser.parse_args()
    print(review(options.entity, options.project).save().url)


if __name__ == "__main__":
    main()
