"""The page itself: everything in one file, or, where that grows too large, the images in files beside it."""

import base64
import hashlib
import json
import shutil
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from jinja2.utils import htmlsafe_json_dumps

from nave.overlay import colours
from nave.report import plots, tables
from nave.report.collect import Run, Variant, runs, variants
from nave.report.details import detail
from nave.report.pictures import index, pictures
from nave.report.settings import axes, distinguished, label
from nave.results import write_whole

PAGE = "report.html"
EMBEDDED = 20_000_000  # characters of images in the page itself; mail and browsers are at ease with 25 MB


def write_report(folder: Path) -> Path:
    """Writes ``report.html`` into the folder of a run or of a sweep; a sweep's runs get theirs too.

    Raises:
        FileNotFoundError: if there is no run, none has finished, or a finished one lost its maps.
        ValueError: for a damaged file, naming it.
    """
    return write_page([folder], folder / PAGE)


def write_page(folders: Sequence[Path], page: Path) -> Path:
    """One page of several runs or sweeps side by side; raises what :func:`write_report` raises."""
    found = runs(folders)
    for run in found if len(found) > 1 else ():
        if run.finished and not _fresh(run):
            _write([run], run.folder / PAGE)
    return _write(found, page)


def _write(found: Sequence[Run], page: Path) -> Path:
    shown = distinguished(variants(found))
    seen = pictures(shown)
    beside = page.with_name(f"{page.stem}_files")
    details = _placed((_script_json(detail(picture)) for picture in seen), beside)
    context = _context(found, shown, page) | {
        "details": details,
        "data": _script_json(_data(shown) | {"images": index(shown, seen), "files": None if details else beside.name}),
    }
    write_whole(page, _rendered(context))
    return page


def _fresh(run: Run) -> bool:
    page, results = run.folder / PAGE, [*run.folder.glob("*.json*"), *run.folder.glob("k*/*.json*")]
    return page.is_file() and page.stat().st_mtime >= max(path.stat().st_mtime for path in results)


def _placed(details: Iterable[str], beside: Path) -> list[str]:
    """The images' data if it fits into the page; else nothing, and a file for each in the folder beside it."""
    shutil.rmtree(beside, ignore_errors=True)
    kept: list[str] = []
    size, number = 0, 0
    for number, text in enumerate(details):
        size += len(text)
        kept.append(text)
        if size > EMBEDDED:
            _write_beside(kept, number + 1 - len(kept), beside)
            kept = []
    if size > EMBEDDED:
        _write_beside(kept, number + 1 - len(kept), beside)
        return []
    return kept


def _write_beside(texts: Sequence[str], first: int, beside: Path) -> None:
    beside.mkdir(parents=True, exist_ok=True)
    for number, text in enumerate(texts, first):
        (beside / f"{number}.js").write_text(f"received({number}, {text});\n")


def _data(shown: Sequence[Variant]) -> dict[str, Any]:
    """What the page's script knows from the start."""
    keys = list(axes(shown))
    return {
        "axes": axes(shown),
        "variants": [{"label": label(v, keys), "settings": v.settings} for v in shown],
        "iou": shown[0].run.record["config"]["evaluation"]["iou"],
        "palette": ["#{:02x}{:02x}{:02x}".format(*colour) for colour in colours(256).tolist()],
    }


def _context(found: Sequence[Run], shown: Sequence[Variant], page: Path) -> dict[str, Any]:
    scored = tables.scored(shown)
    wanted = ("corloc", "ap50") if scored and len(found) > 1 else ()  # of one run, the scores show as much
    over_k = [plot for name in (*wanted, "nave") if wanted and (plot := plots.over_k(shown, name))]
    return {
        "title": _title(found, shown),
        "facts": tables.facts(shown),
        "provenance": tables.provenance,
        "pretty": _pretty,
        "runs": [run for run in found if run.finished],
        "shown": shown,
        "labels": [label(variant, list(axes(shown))) for variant in shown],
        "scored": scored,
        "further": tables.further(shown) if len(found) == 1 else [],
        "columns": tables.columns(shown),
        "rows": tables.rows(shown, page),
        "failures": tables.failures(found, page),
        "over_k": over_k,
        "key": plots.key(shown) if over_k else [],
        "heat": [(plots.TITLES[name], heat) for name in wanted if (heat := plots.layers_by_k(shown, name))],
    }


def _title(found: Sequence[Run], shown: Sequence[Variant]) -> str:
    models = ", ".join(dict.fromkeys(v.settings["model"] for v in shown))
    return f"{models}: {len(found)} runs" if len(found) > 1 else f"{models}, {shown[0].settings['training']}"


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


def _pretty(config: Any) -> str:
    return json.dumps(config, indent=2)


def _script_json(value: Any) -> str:
    """JSON that can stand inside a script element: no ``<``, ``>``, ``&`` or quote ends it early."""
    return str(htmlsafe_json_dumps(value, dumps=_compact))


def _compact(value: Any, **options: Any) -> str:
    return json.dumps(value, separators=(",", ":"), **options)
