"""The sections of ``make gpu`` as far as a CPU goes: figures, errors that stay in their section, the file."""

import json
import sys
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from nave.bench import gpu
from nave.bench.agreement import compare
from nave.bench.cases import VOC07, Bench
from nave.bench.gpu import QUICK, measure, sections, select
from nave.bench.gpu_tests import gpu_tests
from nave.bench.trace import summary
from nave.runs.layout import RunFolder
from tests.helpers.datasets import write_folder


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path, **QUICK)


def event(cat, name, ts, dur=1.0):
    return {"ph": "X", "cat": cat, "name": name, "ts": ts, "dur": dur}


TRACE = [
    {"ph": "M", "name": "process_name"},
    event("cuda_runtime", "cudaLaunchKernel", 0),  # of the first kernel, which begins later
    event("kernel", "first", 10, 20),
    event("kernel", "second", 20, 20),
    event("cuda_runtime", "cudaLaunchKernel", 25),
    event("cuda_driver", "cuLaunchKernelEx", 26),
    event("gpu_memcpy", "Memcpy DtoH (Device -> Pageable)", 70, 10),
    event("cuda_runtime", "cudaStreamSynchronize", 75),
    event("kernel", "second", 100, 10),
    event("cuda_runtime", "cudaDeviceSynchronize", 120),  # after the last kernel
]


def test_a_trace_is_counted_from_the_first_kernel_to_the_last():
    figures = summary(TRACE, batches=2)
    assert figures["launches_per_batch"] == 1
    assert figures["synchronisations_per_batch"] == 0.5
    assert figures["copies_to_host_per_batch"] == 0.5
    assert figures["gpu_milliseconds_per_batch"] == pytest.approx(0.025)  # 10 to 40, 70 to 80, 100 to 110
    assert figures["gpu_share"] == pytest.approx(0.5)
    assert figures["longest_kernels"] == "60.0% 2x second; 40.0% 1x first"


def test_a_trace_without_kernels_is_an_error():
    with pytest.raises(ValueError, match="no kernel"):
        summary(TRACE[:2], batches=1)


def test_the_photographs_are_those_at_hand_repeated(bench, tmp_path, monkeypatch):
    write_folder(tmp_path / VOC07, {"000001.png": (90, 120), "000002.png": (120, 90)})
    monkeypatch.setenv("NAVE_DATA", str(tmp_path))
    files = sorted(bench.root.iterdir())
    assert len(files) == bench.most == 8
    assert {bench.dataset.size(index) for index in range(4)} == {bench.size}
    assert files[0].read_bytes() == files[2].read_bytes() != files[1].read_bytes()


def test_every_stage_is_measured_on_the_cpu(bench, monkeypatch):
    monkeypatch.delenv("NAVE_DATA", raising=False)
    known = sections(bench)
    figures = {}
    for name in ("decode", "loader_224", "encoder_224_bf16", "run_native_float32", "clustering_native_deep"):
        figures |= known[name]()
    assert {key for key in figures if key.endswith("per_second")} == {
        "decode_one_core_images_per_second",
        "loader_224_images_per_second",
        "loader_encoder_224_bf16_images_per_second",
        "encoder_224_bf16_images_per_second",
        "run_native_float32_images_per_second",
        "run_native_float32_with_building_images_per_second",
    }
    assert {key for key in figures if key.startswith("clustering_native_d")} >= {
        f"clustering_native_d{48 + 192}_batch_{batch}_milliseconds" for batch in (1, 2)
    }
    assert min(value for key, value in figures.items() if key.endswith(("_second", "_milliseconds"))) > 0
    assert "run_native_float32_peak_gpu_megabytes" not in figures


def test_an_engine_is_compared_from_the_same_centroids(bench):
    figures = sections(bench)["sklearn_native"]()
    assert figures["sklearn_native_d96_equal_labels_share"] == pytest.approx(1, abs=1e-3)
    assert figures["sklearn_native_d96_highest_inertia_over_factored"] == pytest.approx(1, rel=1e-4)


def test_maps_are_compared_image_by_image(tmp_path):
    runs = RunFolder(tmp_path / "one"), RunFolder(tmp_path / "two")
    halves = np.repeat(np.uint8([[0], [1]]), 4, axis=0)
    for run, labels in zip(runs, (halves, 1 - halves), strict=True):  # the same clusters under other names
        (run.path / "maps").mkdir(parents=True)
        Image.fromarray(labels).save(run.path / "maps" / "same.png")
        Image.fromarray(halves if run is runs[0] else np.zeros_like(halves)).save(run.path / "maps" / "other.png")
    figures = compare(*runs, "key")
    assert figures["key_lowest_ari"] == 0
    assert (figures["key_mean_ari"], figures["key_share_above_99"], figures["key_images"]) == (0.5, 0.5, 2)


def test_an_error_stays_in_its_section(tmp_path, capsys):
    def broken():
        raise OSError("no such thing")

    path = tmp_path / "figures.json"
    chosen = {"first": lambda: {"a_seconds": 1.0}, "second": broken, "third": lambda: {"b_share": float("nan")}}
    figures = measure(chosen | {"fourth": lambda: {"c_seconds": 2}}, path, seconds=60)
    assert json.loads(path.read_text()) == figures
    assert (figures["a_seconds"], figures["c_seconds"]) == (1, 2)
    assert figures["second_error"] == "OSError: no such thing"
    assert figures["third_error"].startswith("ValueError")
    assert {"device", "torch", "section_first_seconds", "gpu_bench_seconds"} <= figures.keys()
    assert "first 0.0 s: a_seconds 1\n" in capsys.readouterr().out


def test_the_file_is_whole_when_the_command_is_cut_off(tmp_path):
    def cut():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        measure({"first": lambda: {"a_seconds": 1.0}, "second": cut}, tmp_path / "figures.json", seconds=60)
    assert json.loads((tmp_path / "figures.json").read_text())["a_seconds"] == 1


def test_no_section_begins_after_the_limit(tmp_path):
    figures = measure({"late": lambda: pytest.fail("it ran")}, tmp_path / "figures.json", seconds=-1)
    assert "late_skipped" in figures


def test_sections_are_chosen_by_their_beginnings(bench):
    known = sections(bench)
    assert list(select(known, [])) == list(known)
    assert next(iter(known)) == "tests"
    assert list(select(known, ["decode", "agreement"])) == ["decode", "agreement_float32", "agreement_bf16"]
    with pytest.raises(ValueError, match="--sections nothing: there is no such section; choose from tests, decode"):
        select(known, ["nothing"])


def test_without_a_gpu_its_sections_say_so(bench, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    known = sections(bench)
    for name in ("trace_224_bf16", "cuml_native", "agreement_bf16"):
        assert known[name]() == {f"{name}_skipped": "no CUDA device"}


def test_a_failing_test_fails_its_section(tmp_path, monkeypatch, capfd):
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # they take seconds
    (tmp_path / "tests").mkdir()
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = gpu\n")
    assert "tests_skipped" in gpu_tests(tmp_path)
    test = "import pytest\npytestmark = pytest.mark.gpu\ndef test_good(): pass\ndef test_bad(): assert {good}\n"
    for good, passed in ((True, 2), (False, None)):
        (tmp_path / "tests" / "test_it.py").write_text(test.format(good=good))
        if passed:
            assert gpu_tests(tmp_path) == {"tests_passed": passed, "tests_left_out": 0}
            continue
        with pytest.raises(RuntimeError, match="ended with 1; of 2 tests failed: test_bad"):
            gpu_tests(tmp_path)
    assert "test_it.py::test_bad FAILED" in capfd.readouterr().out


def test_the_command_ends_with_an_error_if_a_section_did(tmp_path, monkeypatch, capsys):
    out = tmp_path / "out.json"
    monkeypatch.setattr(gpu, "sections", lambda _: {"good": lambda: {"a_seconds": 1.0}, "bad": lambda: 1 / 0})
    monkeypatch.setattr(sys, "argv", ["gpu", "--out", str(out)])
    with pytest.raises(SystemExit, match="failed: bad"):
        gpu.main()
    assert json.loads(out.read_text())["bad_error"] == "ZeroDivisionError: division by zero"
    monkeypatch.setattr(sys, "argv", ["gpu", "--out", str(out), "--sections", "good"])
    gpu.main()
    assert f"written to {out}" in capsys.readouterr().out


@pytest.mark.slow
def test_a_killed_training_is_resumed_and_explained(bench):
    images = ("data.images=128", "validation.images=8", "loader.batch_size=8")
    figures = sections(replace(bench, trained=(*bench.trained, *images)))["training"]()
    assert figures["train_resumed_equal"] == 1
    assert figures["train_explained_images"] == 64
    assert 0 <= figures["train_validation_accuracy"] <= 100
