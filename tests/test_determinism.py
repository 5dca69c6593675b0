"""Results have the same bytes however the work is divided: over processes, batches, numbers of clusters, attempts."""

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from nave.encoder.encoder import Encoder
from nave.encoder.hooks import Activations
from tests.helpers.datasets import write_folder
from tests.helpers.running import into, nave_run, one_thread, results, voc

pytestmark = pytest.mark.usefixtures("unchecked")  # but the run that they share
IMAGES = 9  # more than one process of a pool is given at once
K = ("k=[2,3]", "overlays=9", "photographs=20")


@pytest.fixture(scope="module", autouse=True)
def same_threads() -> Iterator[None]:
    with one_thread():
        yield


@pytest.fixture(scope="module")
def usual(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], dict[str, bytes]]:
    """The overrides of a run without any further process, and the bytes that it leaves."""
    root = tmp_path_factory.mktemp("usual")
    overrides = voc(root, IMAGES)
    assert nave_run(*overrides, *K, "loader.num_workers=0", into(root / "run")) == 0
    return overrides, results(root / "run")


def outcome(folder: Path, *overrides: str) -> dict[str, bytes]:
    assert nave_run(*overrides, into(folder)) == 0
    return results(folder)


@pytest.mark.parametrize(
    ("workers", "processes"), [(2, 2), *(pytest.param(*one, marks=pytest.mark.slow) for one in [(1, 0), (0, 1)])]
)
def test_over_processes_that_read_and_finish_images(
    usual: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int, processes: int
) -> None:
    overrides, expected = usual
    for room in ("writer", "pictures") if processes else ():
        monkeypatch.setattr(f"nave.runs.{room}.FEW", 1)
        monkeypatch.setattr(f"nave.runs.{room}.share_of_cores", lambda _: processes)
    assert outcome(tmp_path / "run", *overrides, *K, f"loader.num_workers={workers}") == expected


@pytest.mark.slow
def test_without_pictures(usual: Any, tmp_path: Path) -> None:
    overrides, expected = usual
    found = outcome(tmp_path / "run", *overrides, "k=[2,3]", "overlays=0", "photographs=null")
    assert found == {name: content for name, content in expected.items() if "overlays" not in name}


def pixels(content: bytes) -> Any:
    with Image.open(io.BytesIO(content)) as image:
        return np.asarray(image).tolist()


def test_one_k_alone_or_among_others(usual: Any, tmp_path: Path) -> None:
    """Colours are aligned over K, so the palette of a map depends on the other K; its pixels do not."""
    overrides, expected = usual
    found = outcome(tmp_path / "run", *overrides, "k=3", "overlays=0")
    for name, content in found.items():
        among = expected[f"k3/{name}"]
        assert pixels(content) == pixels(among) if name.endswith(".png") else content == among
    assert len(found) == len([name for name in expected if name.startswith("k3/") and "overlays" not in name])


@pytest.mark.slow
def test_the_order_of_the_images_changes_their_order_alone(usual: Any, tmp_path: Path) -> None:
    """The intervals in metrics.json are drawn by position, so the order decides them; it is part of data_sha256."""
    overrides, expected = usual
    root = Path(overrides[1].removeprefix("data.root="))
    split = root / "VOCdevkit" / "VOC2007" / "ImageSets" / "Main" / "trainval.txt"
    before = split.read_text()
    split.write_text("".join(reversed(before.splitlines(keepends=True))))
    try:
        found = outcome(tmp_path / "run", *overrides, *K)
    finally:
        split.write_text(before)
    for name, content in expected.items():
        if name.endswith("predictions.jsonl"):
            assert found[name].splitlines() == content.splitlines()[::-1]
        elif name.endswith("metrics.json"):
            assert values(found[name]) == values(content)
        elif name.endswith("concepts.json"):
            assert without_ties(found[name]) == without_ties(content)
        else:
            assert found[name] == content


def values(metrics: bytes) -> dict[str, Any]:
    return {name: score["value"] for name, score in json.loads(metrics).items()}


def without_ties(concepts: bytes) -> dict[str, Any]:
    """The drawn images repeat each other: of equal ones the first are the examples."""
    found: dict[str, Any] = json.loads(concepts)
    for concept in found["concepts"]:
        concept["examples"] = [example["distance"] for example in concept["examples"]]
    return found


def one_by_one(self: Encoder, images: torch.Tensor) -> Activations:
    """In the place of the forward pass: each image alone, as products of larger batches round otherwise."""
    alone = [FORWARD(self, image[None]) for image in images]
    grids = {name: torch.cat([one.grids[name] for one in alone]) for name in alone[0].grids}
    return Activations(grids, alone[0].padded_size, alone[0].image_size)


FORWARD = Encoder.forward


def mixed(root: Path) -> list[str]:
    """Images of two sizes in turn, so that batches are not made of neighbours; one cannot be read."""
    folder = write_folder(root / "mixed", {f"{n}.png": (40, 30) if n in (1, 5, 7) else (30, 40) for n in range(8)})
    (folder / "6.png").write_bytes((folder / "6.png").read_bytes()[:-300])
    return ["data=folder", f"data.root={folder}", "k=[2,3]", "overlays=0", "image_size=null", "loader.num_workers=0"]


def test_over_batches_but_for_the_encoders_rounding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    overrides = mixed(tmp_path)
    monkeypatch.setattr(Encoder, "forward", one_by_one)
    expected = outcome(tmp_path / "1", *overrides, "loader.batch_size=1")
    assert outcome(tmp_path / "3", *overrides, "loader.batch_size=3") == expected


def as_many(self: Encoder, images: torch.Tensor) -> Activations:
    """In the place of the forward pass: numbers that depend on how many images are in the batch."""
    found = FORWARD(self, images)
    grids = {name: grid + len(images) * grid.flip(-1) for name, grid in found.grids.items()}
    return Activations(grids, found.padded_size, found.image_size)


def test_a_resumed_run_has_the_batches_of_an_undisturbed_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Encoder, "forward", as_many)
    overrides, run = [*mixed(tmp_path), "loader.batch_size=3"], tmp_path / "run"
    expected = outcome(tmp_path / "undisturbed", *overrides)
    with monkeypatch.context() as patch:
        patch.setattr("nave.pipeline.evaluate", lambda _: 1 / 0)
        assert nave_run(*overrides, into(run)) == 1
    part = run / "parts" / "0.jsonl"
    lines = part.read_bytes().splitlines(keepends=True)
    part.write_bytes(b"".join(lines[:8]))  # four images at both K: the first batch, and one of three of the second
    assert outcome(run, *overrides) == expected
