"""Builds the W&B workspace in which runs are reviewed: scores over k, a gallery, parallel coordinates.

    pip install wandb-workspaces
    python experiments/wandb_review.py --entity TEAM --project nave

The workspace is a saved view of the project: running the script again makes another one, and changes no run.
"""

import argparse

import wandb_workspaces.reports.v2 as panels
from wandb_workspaces import workspaces

PROTOCOLS = ("corloc", "ap50", "ar100", "nave")
MODEL, TRAINING, K = "config:model.name", "config:training", "config:k"


def review(entity: str, project: str) -> workspaces.Workspace:
    """The workspace, not yet saved."""
    return workspaces.Workspace(
        name="Review of maps and boxes",
        entity=entity,
        project=project,
        sections=[scores(), gallery(), choices()],
    )


def scores() -> workspaces.Section:
    """Every protocol over k, one line a run with its 95 % interval's ends, and the runs side by side."""
    lines = [
        panels.LinePlot(title=f"{name} over k", x="k", y=[name, f"{name}_low", f"{name}_high"]) for name in PROTOCOLS
    ]
    bars = [panels.BarPlot(title=f"{name}, runs side by side", metrics=[name]) for name in PROTOCOLS]
    return workspaces.Section(name="Scores", panels=[*lines, *bars], is_open=True)


def gallery() -> workspaces.Section:
    """The worst, the best and random images; maps and boxes are switched on and off in the panel's settings."""
    browser = panels.MediaBrowser(title="worst, best, random", media_keys=["images"], num_columns=4)
    return workspaces.Section(name="Gallery", panels=[browser], is_open=True)


def choices() -> workspaces.Section:
    """What was chosen, and what came of it."""
    columns = [
        panels.ParallelCoordinatesPlotColumn(metric=metric)
        for metric in (MODEL, TRAINING, K, "config:normalisation", "summary:corloc", "summary:ap50")
    ]
    return workspaces.Section(
        name="Choices", panels=[panels.ParallelCoordinatesPlot(title="choices", columns=columns)], is_open=True
    )


def main() -> None:
    """Saves the workspace and prints its address; needs a key (wandb login)."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entity", required=True, help="W&B user or team")
    parser.add_argument("--project", default="nave")
    options = parser.parse_args()
    print(review(options.entity, options.project).save().url)


if __name__ == "__main__":
    main()
