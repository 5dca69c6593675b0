"""Writes the report: a single HTML file, or, if that would be too large, with the images in files beside it."""

import base64
import hashlib
import shutil
from collections.abc import Iterable, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from jinja2.utils import htmlsafe_json_dumps

from nave.comparison.diff import DIFF, Diff
from nave.comparison.diff import read as read_diff
from nave.comparison.pictures import pictures, representative
from nave.report import changes, concepts, plots, tables
from nave.report.images import detail, index
from nave.runs.files import write_whole
from nave.runs.labels import axes, distinguished, label, spelled
from nave.runs.layout import PAGE, beside
from nave.runs.reader import Run, RunAtK, read_runs, runs_at_k
from nave.strict_json import to_json
from nave.viz.palette import hex_colours

COMPACT = partial(to_json, where="the data of the page", separators=(",", ":"))
EMBEDDED = 20_000_000  # characters of images in the page itself, so that it can be mailed


def write_report(folder: Path) -> Path:
    """Writes ``report.html`` into the folder of a run, or of a sweep and all its runs; returns its path."""
    return write_page([folder], folder / PAGE)


def write_page(folders: Sequence[Path], page: Path) -> Path:
    """Writes one page on several runs or sweeps.

    Raises:
        FileNotFoundError: If there is no finished run, or a map is missing.
        ValueError: If a file is damaged, naming it.
    """
    if (folders[0] / DIFF).is_file() and len(folders) == 1:
        diff, runs = read_diff(folders[0])
    else:
        diff, runs = None, read_runs(folders)
    for run in runs if len(runs) > 1 else ():
        if run.finished and run.newer_than(run.folder.page):
            _write([run], run.folder.page)
    return _write(runs, page, diff)


def _write(runs: Sequence[Run], page: Path, diff: Diff | None = None) -> Path:
    shown = distinguished(runs_at_k(runs))
    chosen = representative(shown) if diff is None else None
    images = pictures(shown, chosen)
    folder = beside(page)
    details = _placed((_script_json(detail(picture)) for picture in images), folder)
    context = _context(runs, shown, page) | {
        "details": details,
        "chosen": 0 if chosen is None else len(images),
        "data": _script_json(
            _data(shown)
            | {"images": index(shown, images), "files": None if details else folder.name}
            | {"diff": diff and changes.script_data(diff, images)}
        ),
        "diff": diff and changes.context(diff, shown),
    }
    if diff:
        context["title"] = changes.title(diff, shown)
    write_whole(page, _rendered(context))
    return page


def _placed(details: Iterable[str], folder: Path) -> list[str]:
    """Returns the images' data if it fits into the page; else writes one file each to ``folder``."""
    shutil.rmtree(folder, ignore_errors=True)
    kept: list[str] = []
    size, number = 0, 0
    for number, text in enumerate(details):
        size += len(text)
        kept.append(text)
        if size > EMBEDDED:
            _write_beside(kept, number + 1 - len(kept), folder)
            kept = []
    if size > EMBEDDED:
        _write_beside(kept, number + 1 - len(kept), folder)
        return []
    return kept


def _write_beside(texts: Sequence[str], first: int, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number, text in enumerate(texts, first):
        (folder / f"{number}.js").write_text(f"received({number}, {text});\n")


def _data(shown: Sequence[RunAtK]) -> dict[str, Any]:
    """The data that the page's script needs from the start."""
    keys = list(axes(shown))
    return {
        "axes": axes(shown),
        "variants": [
            {"label": label(run, keys), "settings": run.settings, "training": spelled(run, "training")} for run in shown
        ],
        "iou": shown[0].run.record["config"]["evaluation"]["iou"],
        "palette": hex_colours(256),
    }


def _context(runs: Sequence[Run], shown: Sequence[RunAtK], page: Path) -> dict[str, Any]:
    scored = tables.scored(shown)
    wanted = ("corloc", "ap50") if scored and len(runs) > 1 else ()  # a single run's scores are in the table
    over_k = [plot for name in (*wanted, "nave") if wanted and (plot := plots.over_k(shown, name))]
    return {
        "title": _title(runs, shown),
        "facts": tables.facts(shown),
        "concepts": concepts.context(shown) if len(runs) == 1 else [],
        "provenance": tables.provenance,
        "pretty": partial(to_json, where="the configuration", indent=2),
        "runs": [run for run in runs if run.finished],
        "shown": shown,
        "labels": [label(run, list(axes(shown))) for run in shown],
        "scored": scored,
        "further": tables.further(shown) if len(runs) == 1 else [],
        "columns": tables.columns(shown),
        "rows": tables.rows(shown, page),
        "failures": tables.failures(runs, page),
        "over_k": over_k,
        "key": plots.key(shown) if over_k else [],
        "heat": [(plots.TITLES[name], heat) for name in wanted if (heat := plots.layers_by_k(shown, name))],
    }


def _title(runs: Sequence[Run], shown: Sequence[RunAtK]) -> str:
    models = ", ".join(dict.fromkeys(run.settings["model"] for run in shown))
    return f"{models}: {len(runs)} runs" if len(runs) > 1 else f"{models}, {shown[0].settings['training']}"


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("nave.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _rendered(context: dict[str, Any]) -> str:
    environment = _environment()
    source = environment.loader
    assert source is not None
    script = source.get_source(environment, "page.js")[0]
    style = source.get_source(environment, "page.css")[0]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return environment.get_template("page.html").render(context, script=script, style=style, digest=digest)


def _script_json(value: Any) -> str:
    """JSON for a script element, with ``<``, ``>``, ``&`` and quotes escaped."""
    return str(htmlsafe_json_dumps(value, dumps=COMPACT))
