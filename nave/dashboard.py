"""Saves a W&B workspace that shows what ``logger=wandb`` has logged; prints its address.

It opens on AP over k and the gallery of the worst, the best and random images. It is a view of the project: running the
command again makes another one, and changes no run. Runs that were logged offline appear once they are uploaded.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from nave.viz.terminal import command

ADVICE = "log some with python -m nave.run logger=wandb, or upload what was logged offline with wandb sync"


@command
def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command."""
    parser = argparse.ArgumentParser(prog="python -m nave.dashboard", description=__doc__)
    parser.add_argument("--project", default="nave", help="W&B project: nave, or what name= was")
    parser.add_argument("--entity", help="W&B user or team; that of the key by default")
    options = parser.parse_args(arguments)
    from nave.loggers.wandb_mode import default_mode

    if default_mode() == "offline":
        raise ValueError("W&B has no key here: get one at https://wandb.ai/authorize, and run: wandb login")
    with _errors_in_a_line():
        print(f"look at {_save(options.entity, options.project)}")


def _save(entity: str | None, project: str) -> str:
    import wandb

    from nave.loggers.wandb_workspace import logged_keys, workspace

    api = wandb.Api()
    if not (entity := entity or api.default_entity):
        raise ValueError("the key belongs to no team: name one with --entity")
    path = f"{entity}/{project}"
    try:
        logged = logged_keys(api.runs(path, filters={"jobType": "explain"}, order="-created_at", per_page=10))
    except ValueError as error:  # no such project
        raise ValueError(f"W&B: {error} of {entity}: {ADVICE}") from error
    if not logged:
        raise ValueError(f"W&B holds no pictures of a run in {path}: {ADVICE}")
    return str(workspace(entity, project, logged).save().url)


@contextmanager
def _errors_in_a_line() -> Iterator[None]:
    """Errors of W&B, of its server and of the network, and a missing package."""
    import wandb

    try:
        yield
    except ModuleNotFoundError as error:
        raise ValueError(f"{error}: pip install 'nave[dashboard]'") from error
    except wandb.Error as error:
        raise ValueError(f"W&B: {' '.join(str(error).split())}") from error


if __name__ == "__main__":
    sys.exit(main())
