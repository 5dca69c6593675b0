"""The benchmark on a few small photographs: keys, ratios, files."""

import json
import sys

import numpy as np
import pytest
import torch
from rich.console import Console

from nave.bench import __main__ as command
from nave.bench.end_to_end import end_to_end, median_seconds, photographs, write
from nave.bench.folded import folded
from nave.bench.kmeans import kmeans
from nave.bench.memory import FLOOR, peak_megabytes
from nave.bench.pipeline import COPIES, SPEED, pipeline


def test_photographs_have_one_size_and_differ():
    images = photographs(20, (30, 40))
    assert {image.size for image in images} == {(40, 30)}
    assert len({np.asarray(image).tobytes() for image in images}) == 20


def test_photographs_are_repeated_in_their_order(tmp_path):
    write(tmp_path, photographs(2, (30, 40)), total=5)

    first, second, *copies = (path.read_bytes() for path in sorted(tmp_path.glob("*.jpg")))
    assert first != second
    assert copies == [first, second, first]


def test_the_warm_up_is_not_counted():
    calls = []
    assert median_seconds(lambda: calls.append(1), repeats=3) >= 0
    assert len(calls) == 4


def test_a_run_is_compared_with_its_encoder():
    quick = {"model": "efficientnet_lite0", "training": "random", "image_size": 64, "trainer.accelerator": "cpu"}

    figures = end_to_end("tiny", (70, 90), images=3, batch_size=2, repeats=1, **quick)

    ratio = figures["end_to_end_tiny_images_per_second"] / figures["encoder_tiny_images_per_second"]
    assert figures["end_to_end_over_encoder_tiny"] == pytest.approx(ratio)
    assert {key for key in figures if key.startswith("share_")} == {
        f"share_tiny_{stage}" for stage in ("encoder", "clustering", "localization", "writing")
    }


@pytest.mark.slow
def test_a_sleeping_device_limits_its_run():
    assert COPIES > 1
    figures = pipeline((70, 90), images=2, repeats=1)

    assert figures["pipeline_bound_images_per_second"] <= SPEED
    assert 0 < figures["pipeline_images_per_second"] < SPEED
    ratio = figures["pipeline_images_per_second"] / figures["pipeline_bound_images_per_second"]
    assert figures["pipeline_over_bound"] == pytest.approx(ratio)


@pytest.mark.slow
def test_a_sweep_is_compared_with_one_k(monkeypatch):
    monkeypatch.delenv("NAVE_DATA", raising=False)
    quick = ("model=efficientnet_lite0", "training=random", "image_size=64", "trainer.accelerator=cpu")

    figures = folded((70, 90), 1, *quick)

    ratio = figures["sweep_three_k_seconds"] / figures["sweep_one_k_seconds"]
    assert figures["sweep_three_over_one_k"] == pytest.approx(ratio)
    with pytest.raises(RuntimeError, match="model=nothing"):
        folded((70, 90), 1, "model=nothing")


@pytest.mark.slow
def test_engines_agree_and_ratios_are_ratios():
    figures = kmeans("tiny", (56, 70), images=1, repeats=1)

    assert figures["kmeans_tiny_sklearn_equal_labels_share"] == 1
    ratio = figures["kmeans_tiny_sklearn_seconds"] / figures["kmeans_tiny_factored_seconds"]
    assert figures["kmeans_tiny_sklearn_over_factored"] == pytest.approx(ratio)
    assert figures["kmeans_tiny_memory_sklearn_over_factored"] > 0
    if not torch.cuda.is_available():
        assert figures["kmeans_tiny_cuml_skipped"] == "no CUDA device"


@pytest.mark.slow
def test_the_reference_needs_at_least_the_memory_of_its_tensor(tmp_path):
    side, channels = 300, 64
    grids = {"grid": torch.randn(1, channels, 10, 10)}
    case = {"grids": grids, "padded_size": (side, side), "image_size": (side, side)}
    torch.save(case | {"centroids": torch.randn(1, 3, channels)}, tmp_path / "case.pt")

    assert peak_megabytes("sklearn", tmp_path / "case.pt") > side**2 * channels * 4 / 1e6
    assert FLOOR <= peak_megabytes("factored", tmp_path / "case.pt") < side**2 * channels * 4 / 1e6


@pytest.mark.slow
def test_the_error_of_an_engine_is_passed_on(tmp_path):
    with pytest.raises(RuntimeError, match=r"nothing here\.pt"):
        peak_megabytes("factored", tmp_path / "nothing here.pt")


def test_goals_fit_into_eighty_columns():
    rows = command.goals(dict.fromkeys(command.GOALS, 123.4))

    assert rows.row_count == len(command.GOALS)
    assert Console(width=500).measure(rows).maximum <= 80


def test_the_file_holds_flat_figures(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(command, "measure", lambda *_: {"a_seconds": 1.5, "b_skipped": "no GPU"})
    monkeypatch.setattr(sys, "argv", ["bench", "--folder", str(tmp_path)])

    command.main()

    (path,) = tmp_path.glob("*.json")
    written = json.loads(path.read_text())
    assert written["a_seconds"] == 1.5
    assert written["b_skipped"] == "no GPU"
    assert {"device", "commit", "torch", "bench_seconds"} <= written.keys()
    assert all(isinstance(value, float | str) for value in written.values())
    assert "a_seconds" in capsys.readouterr().out
