"""Every layer of one small network of each kind of timm against timm itself, with random weights.

``python -m tests.helpers.timm_table LOG`` checks the networks that LOG does not name yet, one line each, then prints
the table in Markdown; names after LOG are checked instead of all.
"""

import multiprocessing
import sys
import traceback
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import timm
import torch

from nave.encoder.encoder import Encoder
from nave.encoder.hooks import layer_modules
from nave.encoder.timm_network import describe, timm_encoder
from tests.helpers.families import FURTHER, SMALLEST

SHRUNK = {"deepseek_vit_412m": {"depth": 2}}  # 1.6 GB
LARGEST = 512  # side of the own size; larger ones are cut to it where any size is taken
SIZES = ("own", "224x224", "240x320")
TOLERANCE = 1e-4  # of the largest value of a layer
TIMEOUT = 300  # seconds for a network
Size = tuple[int, int]


def untrained(architecture: str) -> Encoder:
    """As ``model=timm architecture=… training=random`` makes it, with all its layers."""
    size, options = describe(architecture).image_size, SHRUNK.get(architecture, {})
    encoder = timm_encoder(
        architecture, architecture, [-1], training="random", options=options, image_size=size and list(size)
    )
    encoder.select_layers(range(len(layer_modules(encoder.network))))
    return encoder


def outcomes(architecture: str) -> dict[str, str]:
    """For each of SIZES ``right``, ``resized`` (right at the only size), ``cured``, ``wrong`` or ``traceback``.

    After a colon follows the message.
    """
    try:
        encoder = untrained(architecture)
    except Exception as error:  # whatever it is, it is reported
        return dict.fromkeys(SIZES, _failure(error))
    own = _own(encoder)
    found = {own: compared(encoder, own)}
    if encoder.only_size is not None:
        right = found[own] == "right"
        return {"own": found[own]} | dict.fromkeys(SIZES[1:], "resized" if right else found[own])
    for size in ((224, 224), (240, 320)):
        found.setdefault(size, compared(encoder, size))
    return dict(zip(SIZES, (found[own], found[224, 224], found[240, 320]), strict=True))


def _own(encoder: Encoder) -> Size:
    size = encoder.only_size
    if size is None:
        height, width = encoder.network.pretrained_cfg["input_size"][1:]
        size = min(height, LARGEST), min(width, LARGEST)
    return size


def compared(encoder: Encoder, size: Size) -> str:
    """The outcome at one size."""
    torch.manual_seed(1)
    images = torch.randint(0, 256, (1, 3, *size), dtype=torch.uint8)
    try:
        grids = list(encoder(images).grids.values())
        expected = _expected(encoder, images)
    except Exception as error:  # likewise
        return _failure(error)
    if len(grids) != len(expected):
        return f"wrong: {len(grids)} layers of {len(expected)}"
    layers = zip(layer_modules(encoder.network), grids, expected, strict=True)
    faults = [f"{name} {fault}" for name, grid, reference in layers if (fault := _fault(grid, reference))]
    return f"wrong: {'; '.join(faults)}" if faults else "right"


@torch.inference_mode()
def _expected(encoder: Encoder, images: torch.Tensor) -> Sequence[torch.Tensor]:
    """At the size of timm, its network without our options; at others ours, since that one would refuse."""
    network, pixels = encoder.network, encoder.pixels(images)
    if tuple(pixels.shape[2:]) == tuple(network.pretrained_cfg["input_size"][1:]):
        plain = timm.create_model(encoder.checkpoint.architecture, num_classes=0, **SHRUNK.get(encoder.name, {}))
        plain.load_state_dict(network.state_dict())
        network, pixels = plain.eval(), pixels.contiguous()
    expected: Sequence[torch.Tensor] = network.forward_intermediates(pixels, intermediates_only=True)
    return expected


def _fault(grid: torch.Tensor, reference: torch.Tensor) -> str:
    if grid.shape != reference.shape:
        return f"{tuple(grid.shape)} not {tuple(reference.shape)}"
    if not grid.isfinite().all() or bool((reference == reference.flatten()[0]).all()):
        return "is not finite, or constant"
    difference = float((grid - reference).abs().max() / reference.abs().max())
    return f"off by {difference:.1e} of its largest value" if difference > TOLERANCE else ""


def _failure(error: Exception) -> str:
    text = " ".join(str(error).split())
    if isinstance(error, ValueError) and "image_size" in text:
        return f"cured: {text}"
    place = traceback.extract_tb(error.__traceback__)[-1]
    return f"traceback: {type(error).__name__}: {text} ({Path(place.filename).name}:{place.lineno})"


def _report(architecture: str, log: Path) -> None:
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")  # timm's and torch's own
    _write(log, architecture, outcomes(architecture))


def _write(log: Path, architecture: str, found: dict[str, str]) -> None:
    with log.open("a") as file:
        file.write("\t".join((architecture, *found.values())) + "\n")


def check(names: Sequence[str], log: Path) -> None:
    """Each network in a process of its own, so that its memory is given back and its time is limited."""
    for name in names:
        process = multiprocessing.get_context("fork").Process(target=_report, args=(name, log))
        process.start()
        process.join(TIMEOUT)
        if process.exitcode != 0:
            process.kill()
            _write(log, name, dict.fromkeys(SIZES, f"traceback: no result in {TIMEOUT} s, exit {process.exitcode}"))


def results(log: Path) -> dict[str, list[str]]:
    """Of a log, by network."""
    lines = log.read_text().splitlines() if log.exists() else []
    return {name: found for name, *found in (line.split("\t") for line in lines)}


def table(found: dict[str, list[str]]) -> Iterator[str]:
    """Lines of Markdown: counts a size, then what is not right at all sizes."""
    kinds = ("right", "resized", "cured", "wrong", "traceback")
    counts = [Counter(outcome.partition(":")[0] for outcome in column) for column in zip(*found.values(), strict=True)]
    yield f"| {len(found)} networks at | {' | '.join(kinds)} |"
    yield "|---" * (len(kinds) + 1) + "|"
    for size, count in zip(SIZES, counts, strict=True):
        yield f"| {size} | {' | '.join(str(count[kind]) for kind in kinds)} |"
    resized = [name for name, outcome in found.items() if outcome[1] == "resized"]
    yield f"\nResized: {', '.join(sorted(resized))}.\n"
    for name, outcome in sorted(found.items()):
        rest = {text for text in outcome if text not in ("right", "resized")}
        yield from (f"- {name}: {text}" for text in sorted(rest))


if __name__ == "__main__":
    path = Path(sys.argv[1])
    everything = sys.argv[2:] or [*SMALLEST.values(), *FURTHER]
    check([name for name in everything if name not in results(path)], path)
    print(*table(results(path)), sep="\n")
