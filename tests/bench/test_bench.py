"""The benchmark on a few small photographs: keys, ratios, files."""

import json
import sys

import numpy as np
import pytest
import torch

from nave.bench import __main__ as command
from nave.bench.end_to_end import end_to_end, median_seconds, photographs
from nave.bench.kmeans import kmeans
from nave.bench.memory import FLOOR, peak_megabytes


def test_photographs_have_one_size_and_differ():
    images = photographs(20, (30, 40))
    assert {image.size for image in images} == {(40, 30)}
    assert len({np.asarray(image).tobytes() for image in images}) == 20


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
