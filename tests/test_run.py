import json
import os
import shlex
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from PIL import Image

from nave.data.pixels import FIRST_FRAME
from nave.module import Explainer
from nave.runs.layout import RUN
from nave.runs.provenance import versions
from tests.helpers.datasets import photograph, write_folder, write_photograph, write_stl10
from tests.helpers.running import QUICK, into, nave_run, one_thread, photographs, record, results, voc

pytestmark = pytest.mark.usefixtures("unchecked")  # but the run that they share
VERSIONS = versions()
GONE = RuntimeError("the power went")


def count_images(monkeypatch: pytest.MonkeyPatch, fail_at: int | None = None, error: BaseException = GONE) -> list[str]:
    """Ids of the images that are computed from now on; the power goes at one of them."""
    seen: list[str] = []
    step = Explainer.predict_step

    def counting(self: Explainer, batch: Any, batch_idx: int = 0) -> Any:
        if fail_at is not None and len(seen) == fail_at:
            raise error
        seen.extend(batch.image_ids)
        return step(self, batch, batch_idx)

    monkeypatch.setattr(Explainer, "predict_step", counting)
    return seen


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """A run of four images with objects under two K, and its overrides; what is done to it leaves the same results."""
    root = tmp_path_factory.mktemp("finished")
    run, overrides = root / "outputs" / "first", [*voc(root), "k=[2,3]", "photographs=20"]
    assert nave_run(*overrides, into(run)) == 0
    return run, overrides


def test_a_run_writes_maps_overlays_predictions_scores_and_its_record(finished: tuple[Path, list[str]]) -> None:
    run, _ = finished
    ids = [f"{number:06}" for number in range(4)]
    assert [path.stem for path in sorted((run / "photographs").glob("*.jpg"))] == ids
    for k in (2, 3):
        for pictures in ("maps", "overlays"):
            assert [path.stem for path in sorted((run / f"k{k}" / pictures).glob("*"))] == ids
        lines = [json.loads(line) for line in (run / f"k{k}" / "predictions.jsonl").read_text().splitlines()]
        assert [(line["image_id"], line["k"]) for line in lines] == [(image_id, k) for image_id in ids]
        assert set(json.loads((run / f"k{k}" / "metrics.json").read_text())) >= {"nave", "corloc", "ap50", "ar100"}
    with Image.open(run / "k2" / "maps" / "000000.png") as labels:
        assert (labels.mode, labels.size) == ("P", (40, 30))
        assert set(np.unique(np.asarray(labels))) == {0, 1}
    found = record(run)
    assert (found["status"], found["images"], found["total"], found["unreadable"]) == ("ok", 4, 4, [])
    assert {"encoder", "clustering", "localization", "writing", "total"} <= found["seconds"].keys()
    assert not (run / "parts").exists()
    assert not (run / "predictions.jsonl").exists()


def test_one_k_has_the_run_folder_to_itself(tmp_path: Path) -> None:
    assert nave_run(*photographs(tmp_path, 1), into(tmp_path / "run")) == 0
    assert {"maps/000000.png", "predictions.jsonl", "metrics.json"} <= results(tmp_path / "run").keys()


def test_the_same_command_gives_the_same_bytes_in_its_folder(
    finished: tuple[Path, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    run, overrides = finished
    before = results(run)
    (run / "k2" / "maps" / "left_over.png").write_bytes(b"")
    seen = count_images(monkeypatch)
    assert nave_run(*overrides, into(run)) == 0
    assert len(seen) == 4
    assert results(run) == before


def test_a_killed_run_goes_on_with_what_is_missing(
    finished: tuple[Path, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (undisturbed, overrides), run = finished, tmp_path / "run"
    with monkeypatch.context() as patch:
        count_images(patch, fail_at=3)
        assert nave_run(*overrides, into(run)) == 1
    assert record(run)["status"] == "failed"
    assert "the power went" in record(run)["error"]
    part = run / "parts" / "0.jsonl"
    part.write_text(part.read_text()[:-20])  # the third image's last note was being written
    seen = count_images(monkeypatch)
    assert nave_run(*overrides, into(run)) == 0
    assert len(seen) >= 2  # how many more depends on how far the writing thread had come
    assert seen == [f"{number:06}" for number in range(4)][-len(seen) :]
    assert results(run) == results(undisturbed)
    assert (record(run)["images"], len(record(run)["attempts"])) == (4, 2)
    assert "error" not in record(run)


def test_ctrl_c_says_what_is_kept_and_which_command_goes_on(
    finished: tuple[Path, list[str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (undisturbed, overrides), run = finished, tmp_path / "run"
    before = signal.getsignal(signal.SIGINT)
    with monkeypatch.context() as patch:
        count_images(patch, fail_at=3, error=KeyboardInterrupt())
        assert nave_run(*overrides, into(run)) != 0
    signal.signal(signal.SIGINT, before)  # Lightning ignores a second one
    told = capsys.readouterr().out
    assert f"interrupted; kept in {run}: 3 of 4 images. To go on: python -m nave.run " in told
    command = shlex.split(told.partition("To go on: ")[2])
    assert record(run)["status"] == "interrupted"
    seen = count_images(monkeypatch)
    assert nave_run(*command[3 + len(QUICK) :]) == 0
    assert seen == ["000003"]
    assert results(run) == results(undisturbed)


def test_a_run_that_failed_after_the_last_image_computes_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    overrides, run = photographs(tmp_path), tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr("nave.pipeline.evaluate", lambda _: 1 / 0)
        assert nave_run(*overrides, into(run)) == 1
    seen = count_images(monkeypatch)
    assert nave_run(*overrides, into(run)) == 0
    assert seen == []
    assert record(run)["status"] == "ok"


@pytest.mark.parametrize("change", ["k=3", "seed=1", "loader.limit=2"])
def test_results_of_another_configuration_are_never_mixed(
    finished: tuple[Path, list[str]], capsys: pytest.CaptureFixture[str], change: str
) -> None:
    run, overrides = finished
    before = results(run) | {"record": (run / RUN).read_bytes()}
    assert nave_run(*overrides, into(run), change) == 1
    assert f"{change.partition('=')[0]} was" in capsys.readouterr().out
    assert results(run) | {"record": (run / RUN).read_bytes()} == before


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


def test_a_run_without_its_data_goes_on_when_told_where_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NAVE_DATA", raising=False)
    choice, *root = voc(tmp_path, 2)
    assert nave_run(choice, into(tmp_path / "run")) == 1
    assert nave_run(choice, *root, into(tmp_path / "run")) == 0
    assert [record(tmp_path / "run")[key] for key in ("status", "images")] == ["ok", 2]


def test_skip_existing_takes_over_a_complete_run(
    finished: tuple[Path, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, overrides = finished
    skipping = [*overrides, f"outputs={first.parent}", "skip_existing=true"]
    seen, second = count_images(monkeypatch), first.parent / "second"
    for folder in (first, second):
        assert nave_run(*skipping, into(folder)) == 0
    assert seen == []
    assert results(second) == results(first)
    assert record(second)["same_as"] == str(first)
    assert nave_run(*skipping, into(first.parent / "third"), "seed=1", "loader.limit=1") == 0
    assert seen == ["000000"]


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


def test_what_is_passed_over_and_decided_is_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = write_folder(tmp_path / "photos", {"a.png": (40, 48), ".b.png": (40, 48)})
    Image.fromarray(np.arange(40 * 48, dtype=np.uint16).reshape(40, 48)).save(root / "deep.png")
    first = photograph((40, 48))
    for name in ("pages.tif", os.fsdecode(b"caf\xe9.tif")):
        first.save(root / name, "TIFF", save_all=True, append_images=[first])
    (root / "gone.jpg").symlink_to("nowhere.jpg")
    run = tmp_path / "run"
    assert nave_run("data=folder", f"data.root={root}", "report=true", into(run)) == 0
    found, told, page = record(run), capsys.readouterr().out, (run / "report.html").read_text()
    assert found["passed_over"] == {"hidden images": 1, "broken links": 1}
    assert found["remarks"] == {FIRST_FRAME: 2, "uint16 pixels taken as 12 bit": 1}
    assert {path.stem for path in (run / "maps").glob("*")} == {"a", "deep", "pages", "caf%E9"}
    for text in ("passed over: 1 hidden images", "passed over: 1 broken links", f"2 of 4 images: {FIRST_FRAME}"):
        assert text in " ".join(told.split())
    assert "1 hidden images" in page
    assert f"2 images: {FIRST_FRAME}" in page


def test_photographs_are_explained_at_a_capped_size_and_mapped_at_their_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = write_folder(tmp_path / "photos", {"large.png": (60, 80), "small.png": (24, 32)})
    data, run = ["data=folder", f"data.root={root}", "image_size=null"], tmp_path / "run"
    assert nave_run(*data, "longer_side=32", into(run)) == 0
    for name, size in (("large", (80, 60)), ("small", (32, 24))):
        with Image.open(run / "maps" / f"{name}.png") as labels:
            assert labels.size == size
            assert len(np.unique(np.asarray(labels))) == 2
    boxes = {line["image_id"]: line for line in map(json.loads, (run / "predictions.jsonl").read_text().splitlines())}
    assert (boxes["large"]["width"], boxes["large"]["height"]) == (80, 60)
    right, lower = (max(c["box"][side] for c in boxes["large"]["components"]) for side in (2, 3))
    assert (right, lower) == (80, 60)
    assert nave_run(*data, "longer_side=16", into(run)) == 1
    assert "longer_side was 32, is 16" in capsys.readouterr().out
    assert record(run)["config"]["data"]["longer_side"] == 640


def test_nothing_explained_is_a_failure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "text.jpg").write_text("no image")
    assert nave_run("data=folder", f"data.root={tmp_path}", into(tmp_path / "run")) == 1
    assert "none of 1 images of folder could be read: text: not an image" in capsys.readouterr().out
    assert record(tmp_path / "run")["status"] == "failed"


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["k=0"], "k=0: the number of clusters must be from 1 to 255"),
        (["layers=[nothing]"], "has no layer 'nothing'"),
        (["layers=[99]"], "layer 99 is out of range"),
        (["composite.resolution=huge"], "huge"),
        (["image_size=0"], "image_size=0"),
        (["training=dino"], "model=efficientnet_lite0 has no training=dino; it has"),
        (["data=folder", "data.root=nowhere"], "looked in"),
        (["data=folder", "data.root=EMPTY"], "no images under"),
        (["weights=OTHER"], "are not those of tf_efficientnet_lite0"),
    ],
)
def test_a_wrong_configuration_is_refused_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], overrides: list[str], message: str
) -> None:
    (tmp_path / "empty").mkdir()
    other = tmp_path / "other.safetensors"
    safetensors.torch.save_file({"conv.weight": torch.zeros(3)}, other)
    given = [one.replace("EMPTY", str(tmp_path / "empty")).replace("OTHER", str(other)) for one in overrides]
    assert nave_run("loader.limit=1", *given, into(tmp_path / "run")) == 1
    out = capsys.readouterr().out
    assert out.startswith("error: ")
    assert message in out
    assert record(tmp_path / "run")["status"] == "failed"
    assert "Traceback" in record(tmp_path / "run")["traceback"]


def command_line(folder: Path, *overrides: str, **environment: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "nave.run", *overrides]
    surroundings = os.environ | {"OMP_NUM_THREADS": "1", "COLUMNS": "120"} | environment
    return subprocess.Popen(
        command, cwd=folder, env=surroundings, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def on_two_nodes(folder: Path, *overrides: str) -> list[subprocess.Popen[str]]:
    """One process a node, started as torchrun does it; both nodes are this machine."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        meeting = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1])}
    shared = meeting | {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "1", "LOCAL_RANK": "0", "TORCHELASTIC_RUN_ID": "test"}
    ranks = [{"RANK": rank, "GROUP_RANK": rank} for rank in ("0", "1")]
    return [command_line(folder, *overrides, "trainer.num_nodes=2", **shared, **rank) for rank in ranks]


def told(process: subprocess.Popen[str]) -> str:
    """What a process that ends well, and warns of nothing, writes to its end."""
    out, errors = process.communicate(timeout=300)
    assert (process.returncode, errors) == (0, ""), out
    return out


@pytest.mark.slow
def test_the_command_line_tells_what_runs_and_warns_of_nothing(tmp_path: Path) -> None:
    quick = ["model=efficientnet_lite0", "training=random", "image_size=32", "loader.limit=1"]
    head, first, *_, last = told(command_line(tmp_path, *quick, *photographs(tmp_path, 2))).splitlines()
    assert head.startswith("no foreground head: none is ready for this encoder")
    assert first.startswith("efficientnet_lite0 (training random, random) on ")
    assert "1 images of folder, k=5, to" in first
    (run,) = (tmp_path / "outputs" / "nave").iterdir()
    assert run.name in first
    assert run.name in last


def damaged(root: Path, count: int) -> list[str]:
    """So many images, of which the eighth cannot be read."""
    overrides = voc(root, count)
    broken = root / "VOCdevkit/VOC2007/JPEGImages/000007.jpg"
    broken.write_bytes(broken.read_bytes()[:-300])
    return [*overrides, "k=[2,3]"]


def assert_same(one: Path, two: Path, images: int) -> None:
    assert results(one) == results(two)
    assert len(results(two)) == 2 * (3 + 2 * (images - 1))  # scores, predictions and concepts, maps and overlays
    assert [image["image_id"] for image in record(two)["unreadable"]] == ["000007"]
    assert record(two)["device"].startswith("2 x cpu")


def test_an_image_that_cannot_be_written_ends_the_run_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "run" / "maps" / "000017.png").mkdir(parents=True)  # in the place of a file
    overrides = [*photographs(tmp_path, 18), into(tmp_path / "run")]
    assert nave_run(*overrides) == 1
    assert "error: 000017: " in capsys.readouterr().out
    assert (tmp_path / "run" / "parts" / "0.jsonl").read_text().count("\n") == 17
    (tmp_path / "run" / "maps" / "000017.png").rmdir()
    seen = count_images(monkeypatch)
    assert nave_run(*overrides) == 0
    assert seen == ["000017"]


@pytest.mark.slow
@pytest.mark.parametrize("count", [13, 100])
def test_two_processes_write_what_one_writes(tmp_path: Path, count: int) -> None:
    overrides = damaged(tmp_path, count)
    with one_thread():
        assert nave_run(*overrides, into(tmp_path / "one")) == 0
    two = ["trainer.devices=2", "trainer.strategy=ddp"]
    told(command_line(tmp_path, *QUICK, *overrides, *two, into(tmp_path / "two")))
    assert_same(tmp_path / "one", tmp_path / "two", count)


@pytest.mark.slow
def test_two_nodes_write_what_one_process_writes(tmp_path: Path) -> None:
    overrides = damaged(tmp_path, 13)
    with one_thread():
        assert nave_run(*overrides, into(tmp_path / "one")) == 0
    nodes = [*QUICK, *overrides, "trainer.strategy=ddp", into(tmp_path / "two")]
    for process in on_two_nodes(tmp_path, *nodes):
        told(process)
    assert_same(tmp_path / "one", tmp_path / "two", 13)


@pytest.mark.slow
@pytest.mark.parametrize("nodes", [False, True])
def test_two_processes_choose_the_boxes_of_the_head_that_one_learns(tmp_path: Path, nodes: bool) -> None:
    """Where Lightning starts the second it finds the head of the first; where both start at once, each learns it."""
    overrides = [*damaged(tmp_path, 60), "foreground=auto"]
    with one_thread():
        assert nave_run(*overrides, into(tmp_path / "one")) == 0
    two = [*QUICK, *overrides, "trainer.strategy=ddp", into(tmp_path / "two")]
    processes = on_two_nodes(tmp_path, *two) if nodes else [command_line(tmp_path, *two, "trainer.devices=2")]
    for process in processes:
        told(process)
    assert_same(tmp_path / "one", tmp_path / "two", 60)
    assert record(tmp_path / "two")["foreground"] == record(tmp_path / "one")["foreground"]
    heads = [(tmp_path / run / "foreground.safetensors").read_bytes() for run in ("one", "two")]
    assert heads[0] == heads[1]


def test_a_data_set_is_fetched_before_it_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nave.data.stl10.fetch", lambda *_: write_stl10(tmp_path / "fetched", count=2))
    data = ["data=stl10", f"data.root={tmp_path / 'fetched'}", "data.download=true"]
    assert nave_run(*data, into(tmp_path / "run")) == 0
    assert record(tmp_path / "run")["images"] == 2


def voc_annotation(root: Path, number: int) -> Path:
    return root / "VOCdevkit" / "VOC2007" / "Annotations" / f"{number:06}.xml"


def move_box(annotation: Path) -> None:
    """Another box of the same length in bytes."""
    annotation.write_text(annotation.read_text().replace("<xmin>5<", "<xmin>9<"))


def change_photograph(root: Path) -> None:
    write_photograph(root / "VOCdevkit" / "VOC2007" / "JPEGImages" / "000001.jpg", seed=9)


@pytest.mark.parametrize("change", [lambda root: move_box(voc_annotation(root, 1)), change_photograph])
def test_a_run_over_data_that_have_changed_is_not_taken_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], change: Any
) -> None:
    overrides = [*voc(tmp_path, 2), f"outputs={tmp_path / 'outputs'}", "skip_existing=true"]
    first, second, third = (tmp_path / "outputs" / name for name in ("first", "second", "third"))
    assert nave_run(*overrides, into(first)) == 0
    change(tmp_path)
    seen = count_images(monkeypatch)
    assert nave_run(*overrides, into(second)) == 0
    assert len(seen) == 2
    assert f"not reused: {first} (000001 has changed)" in capsys.readouterr().out
    assert results(second) != results(first)
    assert nave_run(*overrides, into(third)) == 0
    assert len(seen) == 2
    assert record(third)["same_as"] == str(second)


def test_a_resumed_run_explains_again_what_has_changed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    overrides, broken, run = voc(tmp_path, 4), voc_annotation(tmp_path, 3), tmp_path / "run"
    sound = broken.read_text()
    broken.write_text(sound[:-20])
    assert nave_run(*overrides, into(run)) == 1
    assert (run / "parts" / "0.jsonl").read_text().count("\n") >= 2
    broken.write_text(sound)
    for number in (0, 1):
        move_box(voc_annotation(tmp_path, number))
    change_photograph(tmp_path)
    capsys.readouterr()
    assert nave_run(*overrides, into(tmp_path / "fresh")) == 0
    assert nave_run(*overrides, into(run)) == 0
    assert "computed again, as it is not what it was when it was explained: 000000 and 1 more" in (
        capsys.readouterr().out
    )
    assert results(run) == results(tmp_path / "fresh")


@pytest.mark.parametrize(
    ("place", "value", "difference"),
    [
        ("nave.runs.provenance.code_sha256", lambda: "other", "code_sha256 was "),
        ("nave.runs.provenance.versions", lambda: {**VERSIONS, "torch": "1.0"}, "is '1.0'"),
        ("nave.runs.provenance.engine_name", lambda *_: "cuml 26.8.0", "engine was 'factored', is 'cuml 26.8.0'"),
    ],
)
def test_results_of_other_code_are_neither_mixed_nor_taken_over(
    finished: tuple[Path, list[str]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    place: str,
    value: Any,
    difference: str,
) -> None:
    run, overrides = finished
    monkeypatch.setattr(place, value)
    assert nave_run(*overrides, into(run)) == 1
    assert difference in capsys.readouterr().out
    seen = count_images(monkeypatch, fail_at=0)
    other = run.parent / difference.partition(" ")[0].replace("is", "version")
    assert nave_run(*overrides, f"outputs={run.parent}", "skip_existing=true", into(other)) == 1
    assert f"not reused: {run.parent}/" in capsys.readouterr().out
    assert seen == []


def test_the_record_says_which_engine_and_which_code(finished: tuple[Path, list[str]]) -> None:
    found = record(finished[0])
    assert (found["engine"], found["device_type"]) == ("factored", "cpu")
    assert len(found["code_sha256"]) == 64
    assert "k=[2,3]" in found["overrides"]


def test_a_failing_logger_is_repeated_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    overrides, run = [*photographs(tmp_path), "logger=[csv]", into(tmp_path / "run")], tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr("nave.loggers.lightning.LightningLogger.log", lambda *_: 1 / 0)
        assert nave_run(*overrides) == 1
    out = capsys.readouterr().out
    assert f"error: {run} is complete, but logger=csv: division by zero" in out
    assert f"to log it: python -m nave.run {QUICK[0]}" in out
    found, before = record(run), results(run)
    assert (found["status"], found["images"], list(found["unlogged"])) == ("ok", 4, ["csv"])
    seen = count_images(monkeypatch)
    assert nave_run(*overrides) == 0
    assert seen == []
    again = record(run)
    assert (again["status"], again["logged"], again["seconds"]) == ("ok", ["csv"], found["seconds"])
    assert "unlogged" not in again
    assert results(run) == before
    assert not (run / "parts").exists()


def test_a_failing_report_leaves_a_run_that_is_complete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("nave.report.page.write_report", lambda *_: 1 / 0)
    assert nave_run(*photographs(tmp_path), "report=true", into(tmp_path / "run")) == 1
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("error")]
    assert line.endswith(f"to write it: python -m nave.report {tmp_path / 'run'}")
    assert record(tmp_path / "run")["status"] == "ok"


def test_a_folder_in_which_another_process_works_is_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    overrides, run = photographs(tmp_path, 1), tmp_path / "run"
    assert nave_run(*overrides, into(run)) == 0
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file() and path.name != "run.log"}
    other = {"host": os.uname().nodename, "pid": os.getppid(), "slurm_job": None}
    (run / ".claim").write_text(json.dumps(other))
    assert nave_run(*overrides, into(run)) == 1
    assert f"{run} is in use by process {os.getppid()} on {os.uname().nodename}: wait" in capsys.readouterr().out
    (run / ".claim").unlink()
    after = {path: path.read_bytes() for path in run.rglob("*") if path.is_file() and path.name != "run.log"}
    assert before == after


@pytest.mark.slow
def test_two_runs_in_one_second_have_a_folder_each(tmp_path: Path) -> None:
    alone = [*QUICK, *voc(tmp_path, 20)]
    told(command_line(tmp_path, *alone, "seed=0", into(tmp_path / "one")))
    told(command_line(tmp_path, *alone, "seed=1", into(tmp_path / "other")))
    same_name = 'hydra.run.dir="${outputs}/${now:%Y}"'  # the second is not hit for sure
    both = [command_line(tmp_path, *alone, f"seed={seed}", same_name) for seed in (0, 1)]
    for process in both:
        told(process)
    runs = {record(run)["config"]["seed"]: run for run in (tmp_path / "outputs" / "nave").iterdir()}
    assert results(runs[0]) == results(tmp_path / "one")
    assert results(runs[1]) == results(tmp_path / "other")


@pytest.mark.slow
def test_of_two_runs_in_a_named_folder_one_is_refused(tmp_path: Path) -> None:
    overrides = [*QUICK, *voc(tmp_path, 20), into(tmp_path / "run")]
    both = [command_line(tmp_path, *overrides) for _ in range(2)]
    outs = {process.communicate(timeout=300)[0]: process.returncode for process in both}
    assert sorted(outs.values()) == [0, 1]
    (refused,) = [out for out, code in outs.items() if code]
    assert "is in use by process" in refused
    told(command_line(tmp_path, *QUICK, *voc(tmp_path, 20), into(tmp_path / "alone")))
    assert results(tmp_path / "run") == results(tmp_path / "alone")
