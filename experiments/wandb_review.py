"""Builds the W&B workspace in which runs are reviewed: scores over k, a gallery, parallel coordinates.

    pip install wandb-workspaces
    python experiments/wandb_review.py --entity TEAM --project nave

The workspace is a saved view of the project: running the script again makes another one, and changes no run. Runs that
were logged offline show once they are uploaded (the line ``wandb sync`` that each run prints).
"""

import argparse

import wandb_workspaces.reports.v2 as panels
from wandb_workspaces import workspaces

PROTOCOLS = ("corloc", "ap50", "ar100", "nave")
CHOICES = ("model.name", "training", "k", "normalisation", "resolution")
WIDE = workspaces.SectionLayoutSettings(columns=1, rows=1)
ENCODER = panels.Config("encoder")  # model and training in one word, which the runs carry for this purpose


def review(entity: str, project: str) -> workspaces.Workspace:
    """The workspace, not yet saved.

    What it has no panel for, W&B adds by prefix: ``worst``, ``best`` and ``random`` are galleries of photographs whose
    maps, masks and boxes are switched on and off.
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
    """Every protocol over k, one line an encoder, and the encoders side by side."""
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
    """All images of the chosen runs with their scores; a click on ``iou`` sorts."""
    table = panels.WeavePanelSummaryTable(table_name="images")
    return workspaces.Section(name="Images", panels=[table], is_open=True, layout_settings=WIDE)


def choices() -> workspaces.Section:
    """What was chosen, and what came of it."""
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
