"""Measures a GPU in about five minutes: ``make gpu``, or ``python -m nave.bench.gpu``.

The sections run in the order of SECTIONS, the tests first. One that fails leaves its error under ``<section>_error``,
and the file of figures is written after every section. Keys end in their unit; K-means and its comparisons are per
image. ``224`` and ``native`` are the same JPEG files of 500 x 375, resized or not, in batches of 64 and 16.
"""

import argparse
import json
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import torch

from nave.bench.agreement import Agreement
from nave.bench.cases import Bench
from nave.bench.end_to_end import Figures
from nave.bench.engines import LAST, compared, over_batch_sizes
from nave.bench.gpu_tests import gpu_tests
from nave.bench.throughput import decode, encode, load, traced_run, whole_run
from nave.bench.trained import training
from nave.command_line.job import quiet_lightning
from nave.runs.files import write_json
from nave.runs.provenance import commit, device_name, versions

Sections = Mapping[str, Callable[[], Figures]]
QUICK: dict[str, Any] = {  # a trial of the sections on a CPU, with figures that say nothing
    "overrides": ("model=resnet_tiny", "trainer.accelerator=cpu", "localization.min_area=4", "localization.border=0"),
    **{
        "images": 4,
        "most": 8,
        "size": (48, 64),
        "resized": 32,
        "batch_sizes": (2, 2),
        "clustered": (1, 2),
        "layers": "[-3,-2]",
    },
    **{"seconds": 0, "scored": 2, "trained": ("model=resnet_tiny", "image_size=32", "trainer.accelerator=cpu")},
}


def sections(bench: Bench) -> Sections:
    """All of them by name, in their order."""
    cases = [bench.case(*names) for names in product(("224", "native"), ("float32", "bf16"))]
    widths = (("224", LAST), ("native", LAST), ("native", bench.layers))
    agreement = Agreement(bench)
    return {
        "tests": gpu_tests,
        "decode": partial(decode, bench),
        **{f"loader_{size}": partial(load, bench, size) for size in ("224", "native")},
        **{f"encoder_{case.name}": partial(encode, bench, case) for case in cases},
        **{f"run_{case.name}": partial(whole_run, bench, case) for case in cases},
        **{f"trace_{case.name}": partial(traced_run, bench, case) for case in cases},
        **{f"clustering_{_name(*width)}": partial(over_batch_sizes, bench, *width) for width in widths},
        **{f"cuml_{_name(*width)}": partial(compared, bench, "cuml", *width) for width in widths},
        **{f"agreement_{precision}": partial(agreement, precision) for precision in ("float32", "bf16")},
        "training": partial(training, bench),
        **{f"sklearn_{_name(*width)}": partial(compared, bench, "sklearn", *width) for width in widths},
    }


def _name(size: str, layers: str) -> str:
    return size if layers == LAST else f"{size}_deep"


def measure(chosen: Sections, path: Path, seconds: float) -> Figures:
    """Runs the sections; after each of them ``path`` holds all figures so far, and a line is printed.

    Args:
        chosen: by name.
        path: a JSON file.
        seconds: no section begins later; what is left out is named under ``<section>_skipped``.
    """
    start, figures = time.perf_counter(), _provenance()
    for name, section in chosen.items():
        began = time.perf_counter()
        if began - start > seconds:
            found: Figures = {f"{name}_skipped": f"{seconds:g} seconds had passed"}
        else:
            found = _attempt(name, section)
        took = time.perf_counter() - began
        figures |= found | {f"section_{name}_seconds": took, "gpu_bench_seconds": time.perf_counter() - start}
        write_json(path, figures)
        print(line(name, took, found), flush=True)
    return figures


def _attempt(name: str, section: Callable[[], Figures]) -> Figures:
    """The figures of a section, or its error: the next sections are not to be lost."""
    try:
        found = section()
        json.dumps(found, allow_nan=False)
    except (Exception, SystemExit) as error:
        traceback.print_exc(limit=-4)
        return {f"{name}_error": f"{type(error).__name__}: {error}"[:500]}
    finally:
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
    return found


def line(name: str, seconds: float, figures: Figures) -> str:
    """As ``decode 1.2 s: decode_images_per_second 512``."""
    values = (f"{key} {value if isinstance(value, str) else format(value, '.4g')}" for key, value in figures.items())
    return f"{name} {seconds:.1f} s: {', '.join(values)}"


def select(known: Sections, names: Sequence[str]) -> Sections:
    """The sections whose name begins with one of ``names``; all without any.

    Raises:
        ValueError: for a name that is the beginning of none, with the choices.
    """
    for name in names:
        if not any(section.startswith(name) for section in known):
            raise ValueError(f"--sections {name}: there is no such section; choose from {', '.join(known)}")
    return {section: run for section, run in known.items() if not names or section.startswith(tuple(names))}


def _provenance() -> Figures:
    device = torch.device("cuda", 0) if torch.cuda.is_available() else torch.device("cpu")
    return {"device": device_name(device), "commit": commit() or "installed package", **versions()}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m nave.bench.gpu", description=__doc__.splitlines()[0])
    parser.add_argument("overrides", nargs="*", help="of conf/config.yaml, for every run: weights=FILE")
    parser.add_argument("--sections", default="", help="beginnings of their names: run,cuml (default: all)")
    parser.add_argument("--out", type=Path, help="the JSON (default: outputs/bench/gpu_<date_time>.json)")
    parser.add_argument("--seconds", type=float, default=300, help="no section begins later (default: 300)")
    parser.add_argument("--quick", action="store_true", help="a trial with a few tiny images, without the tests")
    return parser.parse_args()


def _failures(figures: Figures) -> Iterator[str]:
    return (key.removesuffix("_error") for key in figures if key.endswith("_error"))


def main() -> None:
    """Runs the command; the exit code is 1 if a section failed."""
    arguments = _arguments()
    quiet_lightning()
    path = arguments.out or Path(f"outputs/bench/gpu_{datetime.now().astimezone():%Y-%m-%d_%H-%M-%S}.json")
    settings = QUICK if arguments.quick else {"overrides": ()}
    settings = settings | {"overrides": (*settings["overrides"], *arguments.overrides)}
    with tempfile.TemporaryDirectory() as folder:
        known = sections(Bench(Path(folder), **settings))
        figures = measure(select(known, list(filter(None, arguments.sections.split(",")))), path, arguments.seconds)
    print(f"written to {path}")
    if failed := list(_failures(figures)):
        sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
