import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from PIL import Image

from nave.module import Explainer
from nave.results import RUN
from tests.data.writers import photograph, write_photograph
from tests.running import into, nave_run, photographs, record, results, voc


def count_images(monkeypatch: pytest.MonkeyPatch, fail_at: int | None = None) -> list[str]:
    """Ids of the images that are computed from now on; the power goes at one of them."""
    seen: list[str] = []
    step = Explainer.predict_step

    def counting(self: Explainer, batch: Any, batch_idx: int = 0) -> Any:
        if fail_at is not None and len(seen) == fail_at:
            raise RuntimeError("the power went")
        seen.extend(batch.image_ids)
        return step(self, batch, batch_idx)

    monkeypatch.setattr(Explainer, "predict_step", counting)
    return seen


def test_a_run_writes_maps_overlays_predictions_scores_and_its_record(tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert nave_run(*voc(tmp_path), into(run), "photographs=20") == 0
    assert {path.stem for path in (run / "maps").glob("*.png")} == {f"{number:06}" for number in range(4)}
    assert {path.stem for path in (run / "photographs").glob("*.jpg")} == {f"{number:06}" for number in range(4)}
    with Image.open(run / "maps" / "000000.png") as labels:
        assert labels.mode == "P"
        assert labels.size == (40, 30)
        assert set(np.unique(np.asarray(labels))) == {0, 1}
    lines = [json.loads(line) for line in (run / "predictions.jsonl").read_text().splitlines()]
    assert [line["image_id"] for line in lines] == [f"{number:06}" for number in range(4)]
    assert set(json.loads((run / "metrics.json").read_text())) >= {"nave", "corloc", "ap50", "ar100"}
    found = record(run)
    assert found["status"] == "ok"
    assert (found["images"], found["total"], found["unreadable"], len(found["attempts"])) == (4, 4, [], 1)
    assert {"encoder", "clustering", "localization", "writing", "total"} <= found["seconds"].keys()
    assert not (run / "parts").exists()


def test_several_k_have_a_folder_each(tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert nave_run(*voc(tmp_path, 2), into(run), "k=[2,3]") == 0
    for k in (2, 3):
        lines = (run / f"k{k}" / "predictions.jsonl").read_text().splitlines()
        assert [json.loads(line)["k"] for line in lines] == [k, k]
    assert not (run / "predictions.jsonl").exists()


def test_the_same_command_gives_the_same_bytes(tmp_path: Path) -> None:
    overrides = photographs(tmp_path)
    for name in ("one", "two"):
        assert nave_run(*overrides, into(tmp_path / name)) == 0
    assert results(tmp_path / "one") == results(tmp_path / "two")


@pytest.mark.parametrize("k", ["2", "[2,3]"])
def test_a_killed_run_goes_on_with_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, k: str) -> None:
    overrides = [*photographs(tmp_path, 5), f"k={k}"]
    assert nave_run(*overrides, into(tmp_path / "undisturbed")) == 0
    run = tmp_path / "run"
    with monkeypatch.context() as patch:
        count_images(patch, fail_at=3)
        assert nave_run(*overrides, into(run)) == 1
    assert record(run)["status"] == "failed"
    assert "the power went" in record(run)["error"]
    part = run / "parts" / "0.jsonl"
    part.write_text(part.read_text()[:-20])  # the third image's last note was being written
    seen = count_images(monkeypatch)
    assert nave_run(*overrides, into(run)) == 0
    everything = [f"{number:06}" for number in range(5)]
    assert len(seen) >= 3  # how many more depends on how far the writing thread had come
    assert seen == everything[-len(seen) :]
    assert results(run) == results(tmp_path / "undisturbed")
    assert (record(run)["images"], len(record(run)["attempts"])) == (5, 2)
    assert "error" not in record(run)


def test_a_run_that_failed_after_the_last_image_computes_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    overrides, run = photographs(tmp_path), tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr("nave.run.evaluate", lambda _: 1 / 0)
        assert nave_run(*overrides, into(run)) == 1
    seen = count_images(monkeypatch)
    assert nave_run(*overrides, into(run)) == 0
    assert seen == []
    assert record(run)["status"] == "ok"


@pytest.mark.parametrize("change", ["k=3", "seed=1", "loader.limit=2"])
def test_results_of_another_configuration_are_never_mixed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], change: str
) -> None:
    overrides, run = photographs(tmp_path), tmp_path / "run"
    assert nave_run(*overrides, into(run)) == 0
    before = {path: path.read_bytes() for path in run.rglob("*") if path.name in (RUN, "predictions.jsonl")}
    assert nave_run(*overrides, into(run), change) == 1
    assert f"{change.partition('=')[0]} was" in capsys.readouterr().out
    assert {path: path.read_bytes() for path in run.rglob("*") if path.name in (RUN, "predictions.jsonl")} == before


def test_results_of_other_weights_or_data_are_never_mixed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import timm

    file, run = tmp_path / "weights.safetensors", tmp_path / "run"
    overrides = [*photographs(tmp_path), f"weights={file}", "training=imagenet1k", into(run)]
    for seed, told in ((0, None), (1, "weights_sha256 was"), (0, "data_sha256 was")):
        torch.manual_seed(seed)
        safetensors.torch.save_file(timm.create_model("tf_efficientnet_lite0").state_dict(), file)
        if told and told.startswith("data"):
            write_photograph(tmp_path / "photographs" / "new.png")
        assert nave_run(*overrides) == (1 if told else 0)
        assert told is None or told in capsys.readouterr().out


def test_a_complete_run_is_repeated_in_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    overrides, run = photographs(tmp_path), tmp_path / "run"
    assert nave_run(*overrides, into(run)) == 0
    (run / "maps" / "left_over.png").write_bytes(b"")
    seen = count_images(monkeypatch)
    assert nave_run(*overrides, into(run)) == 0
    assert len(seen) == 4
    assert not (run / "maps" / "left_over.png").exists()


def test_skip_existing_takes_over_a_complete_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    overrides = [*photographs(tmp_path), f"outputs={tmp_path}/outputs", "skip_existing=true"]
    first, second = tmp_path / "outputs" / "first", tmp_path / "outputs" / "second"
    seen = count_images(monkeypatch)
    assert nave_run(*overrides, into(first)) == 0
    assert len(seen) == 4
    for folder in (first, second):
        assert nave_run(*overrides, into(folder)) == 0
    assert len(seen) == 4
    assert results(second) == results(first)
    assert record(second)["same_as"] == str(first)
    assert nave_run(*overrides, into(tmp_path / "third"), "seed=1") == 0
    assert len(seen) == 8


def test_images_that_cannot_be_read_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = tmp_path / "photos"
    write_photograph(root / "good.jpg", (40, 48))
    content = write_photograph(root / "truncated.jpg", (40, 48)).read_bytes()
    (root / "truncated.jpg").write_bytes(content[: len(content) // 2])
    (root / "text.jpg").write_text("no image")
    Image.new("RGB", (1, 1)).save(root / "pixel.png")
    photograph((40, 48)).convert("CMYK").save(root / "cmyk.jpg")
    Image.fromarray(np.arange(40 * 48, dtype=np.uint16).reshape(40, 48) * 30).save(root / "deep.png")
    run = tmp_path / "run"
    assert nave_run("data=folder", f"data.root={root}", "image_size=null", into(run)) == 0
    found = record(run)
    assert found["images"] == 4
    assert [image["image_id"] for image in found["unreadable"]] == ["text", "truncated"]
    assert {path.stem for path in (run / "maps").glob("*")} == {"good", "pixel", "cmyk", "deep"}
    told = capsys.readouterr().out
    assert "skipped text: not an image" in told
    assert "skipped truncated" in told


def test_nothing_explained_is_a_failure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "text.jpg").write_text("no image")
    assert nave_run("data=folder", f"data.root={tmp_path}", into(tmp_path / "run")) == 1
    assert "none of 1 images of folder could be read: text: not an image" in capsys.readouterr().out
    assert record(tmp_path / "run")["status"] == "failed"


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (["k=0"], "k=0: the number of clusters must be from 1 to 255"),
        (["layers=[nothing]"], "has no layer 'nothing'"),
        (["layers=[99]"], "layer 99 is out of range"),
        (["resolution=huge"], "huge"),
        (["image_size=0"], "image_size=0"),
        (["training=dino"], "model=efficientnet_lite0 has no training='dino'; it has:"),
        (["data=folder", "data.root=nowhere"], "looked in"),
        (["data=folder", "data.root=EMPTY"], "no images under"),
        (["weights=OTHER"], "are not those of tf_efficientnet_lite0"),
    ],
)
def test_a_wrong_configuration_is_told_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], overrides: list[str], told: str
) -> None:
    (tmp_path / "empty").mkdir()
    other = tmp_path / "other.safetensors"
    safetensors.torch.save_file({"conv.weight": torch.zeros(3)}, other)
    given = [one.replace("EMPTY", str(tmp_path / "empty")).replace("OTHER", str(other)) for one in overrides]
    assert nave_run("loader.limit=1", *given, into(tmp_path / "run")) == 1
    out = capsys.readouterr().out
    assert out.startswith("error: ")
    assert told in out
    assert record(tmp_path / "run")["status"] == "failed"
    assert "Traceback" in record(tmp_path / "run")["traceback"]


def command_line(folder: Path, *overrides: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "nave.run", *overrides]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "COLUMNS": "120"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_the_command_line_tells_what_runs_and_warns_of_nothing(tmp_path: Path) -> None:
    done = command_line(
        tmp_path,
        *("model=efficientnet_lite0", "training=random", "image_size=32", "loader.limit=1"),
        *photographs(tmp_path, 2),
    )
    assert (done.returncode, done.stderr) == (0, "")
    first, *_, last = done.stdout.splitlines()
    assert first.startswith("efficientnet_lite0 (training random, random) on ")
    assert "1 images of folder, k=5, to" in first
    (run,) = (tmp_path / "outputs" / "nave").iterdir()
    assert run.name in first
    assert run.name in last


@pytest.mark.slow
@pytest.mark.parametrize("count", [13, 100])
def test_two_processes_write_what_one_writes(tmp_path: Path, count: int) -> None:
    overrides = ["model=efficientnet_lite0", "training=random", "image_size=32", "k=[2,3]", *voc(tmp_path, count)]
    broken = tmp_path / "VOCdevkit/VOC2007/JPEGImages/000007.jpg"
    broken.write_bytes(broken.read_bytes()[:-300])
    two = ["trainer.devices=2", "trainer.strategy=ddp", "trainer.accelerator=cpu"]
    for name, more in (("one", ["trainer.accelerator=cpu"]), ("two", two)):
        done = command_line(tmp_path, *overrides, *more, into(tmp_path / name))
        assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert results(tmp_path / "one") == results(tmp_path / "two")
    assert len(results(tmp_path / "two")) == 2 * (2 + 2 * (count - 1))
    assert [image["image_id"] for image in record(tmp_path / "two")["unreadable"]] == ["000007"]
    assert record(tmp_path / "two")["device"].startswith("2 x cpu")
