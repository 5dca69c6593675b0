"""The foreground head of a run: learnt, given or none; and the choice that is repeated from disk."""

import json
import shutil
from pathlib import Path
from xml.etree import ElementTree

import pytest
from PIL import Image

from nave.evaluate import main
from nave.localization import teaching
from nave.localization.foreground import Head
from nave.localization.switch import OFF, switched
from nave.runs.journal import Journal
from nave.runs.layout import RunFolder
from tests.helpers.compositions import composed
from tests.helpers.running import into, nave_run, record, voc

IMAGES = 4


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Overrides for a data set of four images, which are enough to teach a head here."""
    monkeypatch.setattr(teaching, "FEWEST", IMAGES)
    return [*voc(tmp_path), "overlays=0"]


@pytest.fixture(scope="module")
def learnt(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """A run that learnt its head, and its overrides; it is only read."""
    root = tmp_path_factory.mktemp("learnt")
    overrides = [*voc(root), "overlays=0"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(teaching, "FEWEST", IMAGES)
        assert nave_run(*overrides, into(root / "run")) == 0
    return root / "run", overrides


def test_a_head_from_outside_is_read_once(
    tmp_path: Path, learnt: tuple[Path, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    file, read, counted = RunFolder(learnt[0]).foreground, Head.read, []
    monkeypatch.setattr(Head, "read", lambda path: counted.append(path) or read(path))
    assert nave_run(*learnt[1], f"foreground={file}", into(tmp_path / "run")) == 0
    assert counted.count(file) == 1


def predictions(folder: Path) -> bytes:
    return (folder / "predictions.jsonl").read_bytes()


def test_a_run_learns_a_head_and_the_choice_is_repeated_byte_for_byte(
    tmp_path: Path, learnt: tuple[Path, list[str]]
) -> None:
    run = tmp_path / "run"
    shutil.copytree(learnt[0], run)
    head = Head.read(RunFolder(run).foreground)
    assert record(run)["foreground"] == {"source": "learnt", "sha256": head.sha256, "images": IMAGES}
    assert [len(fold) for fold in head.card["images"]] == [IMAGES // 2] * 2
    before = predictions(run)
    assert all({"detections", "foreground"} <= json.loads(line).keys() for line in before.splitlines())
    (run / "predictions.jsonl").write_bytes(before.replace(b'"box": [', b'"box": [0, 0, 1, 1], "old": [', 1))
    main([str(run)])
    lines = [json.loads(line) for line in predictions(run).splitlines()]
    lines[0].pop("old")
    assert lines == [json.loads(line) for line in before.splitlines()]
    (run / "predictions.jsonl").write_bytes(before)
    main([str(run)])
    assert predictions(run) == before


def test_the_same_run_gives_the_same_head_and_boxes_in_larger_batches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, learnt: tuple[Path, list[str]]
) -> None:
    monkeypatch.setattr(teaching, "FEWEST", IMAGES)
    one, other = learnt[0], tmp_path / "other"
    assert nave_run(*learnt[1], "loader.batch_size=3", into(other)) == 0
    assert RunFolder(one).foreground.read_bytes() == RunFolder(other).foreground.read_bytes()
    assert predictions(one) == predictions(other)


def test_truth_does_not_change_a_box(tmp_path: Path, data: list[str], learnt: tuple[Path, list[str]]) -> None:
    one, other = learnt[0], tmp_path / "other"
    for path in tmp_path.rglob("Annotations/*.xml"):
        tree = ElementTree.parse(path)
        for name in ("xmin", "ymin"):
            for side in tree.iter(name):
                side.text = "1"
        tree.write(path)
    assert nave_run(*data, into(other)) == 0
    lines = [[json.loads(line) for line in predictions(run).splitlines()] for run in (one, other)]
    assert [line["truth"] for line in lines[0]] != [line["truth"] for line in lines[1]]
    for key in ("box", "components", "detections", "foreground"):
        assert [line[key] for line in lines[0]] == [line[key] for line in lines[1]]


def test_a_head_is_given_by_its_file_and_belongs_to_its_encoder(
    tmp_path: Path, data: list[str], learnt: tuple[Path, list[str]]
) -> None:
    one, other, file = learnt[0], tmp_path / "other", tmp_path / "head.safetensors"
    Head.read(RunFolder(one).foreground).save(file)
    assert nave_run(*data, f"foreground={file}", into(other)) == 0
    assert record(other)["foreground"]["source"] == str(file)
    assert record(other)["foreground_sha256"] == Head.read(file).sha256
    assert predictions(other) == predictions(one)
    assert nave_run(*data, f"foreground={file}", "layers=[2]", into(tmp_path / "third")) == 1
    assert "its layer is" in record(tmp_path / "third")["error"]


def test_a_head_of_random_weights_belongs_to_their_seed(
    tmp_path: Path, data: list[str], learnt: tuple[Path, list[str]]
) -> None:
    head, random = Head.read(RunFolder(learnt[0]).foreground), f"foreground={RunFolder(learnt[0]).foreground}"
    assert head.card["weights_sha256"] is None
    assert head.card["seed"] == record(learnt[0])["config"]["seed"]
    assert nave_run(*data, random, "seed=7", into(tmp_path / "other")) == 1
    assert "its seed is 0, this one's 7" in record(tmp_path / "other")["error"]


def test_a_head_that_the_localization_does_not_take_is_said_to_have_no_effect(
    tmp_path: Path, data: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    assert nave_run(*data, "foreground=learn", "localization.foreground=off", into(tmp_path / "run")) == 0
    assert "foreground=learn has no effect" in (tmp_path / "run" / "run.log").read_text() + capfd.readouterr().out


def test_a_map_that_is_not_that_of_the_line_is_refused(
    tmp_path: Path, learnt: tuple[Path, list[str]], capfd: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    shutil.copytree(learnt[0], run)
    before = predictions(run)
    path = min((run / "maps").glob("*.png"))
    with Image.open(path) as image:
        image.crop((0, 0, 20, 10)).save(path)
    assert main([str(run)]) == 1
    assert "has 20 x 10 pixels for an image of" in capfd.readouterr().err
    assert predictions(run) == before


def test_without_a_head_the_box_is_that_of_the_rule(tmp_path: Path, data: list[str]) -> None:
    off, few = tmp_path / "off", tmp_path / "few"
    assert nave_run(*data, "foreground=off", into(off)) == 0
    assert not RunFolder(off).foreground.exists()
    assert not {"foreground", "foreground_sha256"} & record(off).keys()
    assert all(not {"detections", "foreground"} & json.loads(line).keys() for line in predictions(off).splitlines())
    teaching.FEWEST = IMAGES + 1  # the fixture's monkeypatch puts it back
    assert nave_run(*data, into(few)) == 0
    assert record(few)["foreground"] == {"source": "none", "sha256": None, "images": 0}
    assert predictions(few) == predictions(off)


def test_a_run_that_continues_keeps_its_head(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, learnt: tuple[Path, list[str]]
) -> None:
    run, data = tmp_path / "run", learnt[1]
    shutil.copytree(learnt[0], run)
    before = predictions(run)
    with monkeypatch.context() as no_lesson:
        no_lesson.setattr("nave.runs.head.learn", lambda *_: pytest.fail("learnt again"))
        assert nave_run(*data, into(run)) == 0
    assert predictions(run) == before


def test_a_foreground_that_is_no_file_is_refused_first(tmp_path: Path, data: list[str]) -> None:
    assert nave_run(*data, "foreground=nowhere.safetensors", into(tmp_path / "run")) == 1
    assert "foreground=nowhere.safetensors is no file" in record(tmp_path / "run")["error"]


@pytest.mark.parametrize("spelling", ["off", "OFF", "false", "False"])
def test_off_is_false_in_yaml(spelling: str) -> None:
    assert switched(composed("config", f"foreground={spelling}").foreground) == OFF


def test_false_is_no_head(tmp_path: Path, data: list[str]) -> None:
    assert nave_run(*data, "foreground=False", into(tmp_path / "run")) == 0
    assert not RunFolder(tmp_path / "run").foreground.exists()
    assert "foreground" not in record(tmp_path / "run")


def test_auto_takes_the_ready_head_where_there_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: list[str], learnt: tuple[Path, list[str]]
) -> None:
    head = Head.read(RunFolder(learnt[0]).foreground)
    monkeypatch.setattr("nave.runs.head.ready", lambda _: head)
    monkeypatch.setattr("nave.runs.head.learn", lambda *_: pytest.fail("learnt"))
    run = tmp_path / "run"
    assert nave_run(*data, into(run)) == 0
    assert record(run)["foreground"] == {"source": "ready", "sha256": head.sha256, "images": IMAGES}
    assert record(run)["foreground_sha256"] == head.sha256
    assert RunFolder(run).foreground.read_bytes() == RunFolder(learnt[0]).foreground.read_bytes()


def test_learn_learns_though_a_head_is_ready(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: list[str], learnt: tuple[Path, list[str]]
) -> None:
    monkeypatch.setattr("nave.runs.head.ready", lambda _: pytest.fail("asked for"))
    assert nave_run(*data, "foreground=learn", into(tmp_path / "run")) == 0
    assert record(tmp_path / "run")["foreground"]["source"] == "learnt"
    assert predictions(tmp_path / "run") == predictions(learnt[0])


def test_what_is_asked_for_and_cannot_be_ends_the_run(tmp_path: Path, data: list[str]) -> None:
    teaching.FEWEST = IMAGES + 1  # the fixture's monkeypatch puts it back
    assert nave_run(*data, "foreground=learn", into(tmp_path / "learn")) == 1
    assert "foreground=learn: fewer than" in record(tmp_path / "learn")["error"]
    assert nave_run(*data, "foreground=ready", into(tmp_path / "ready")) == 1
    assert "none is ready for efficientnet_lite0 at" in record(tmp_path / "ready")["error"]


def test_an_unfinished_run_of_other_images_keeps_nothing_that_another_head_has_judged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: list[str]
) -> None:
    """Also in a process that sees the notes and the head of before, as the first process has not got so far."""
    run, fresh = tmp_path / "run", tmp_path / "fresh"
    with monkeypatch.context() as cut_off:
        cut_off.setattr("nave.pipeline.evaluate", lambda _: (_ for _ in ()).throw(OSError("the disk is full")))
        assert nave_run(*data, into(run)) == 1
    assert Journal(RunFolder(run), [2]).finished() == set(range(IMAGES))
    old = RunFolder(run).foreground.read_bytes()
    image = next(tmp_path.rglob("JPEGImages/000001.jpg"))
    Image.open(image).transpose(Image.Transpose.ROTATE_180).save(image)
    with monkeypatch.context() as second:
        second.setattr("nave.runs.head.is_rank_zero", lambda: False)
        assert nave_run(*data, into(run)) == 0
    assert RunFolder(run).foreground.read_bytes() == old
    assert nave_run(*data, into(fresh)) == 0
    assert predictions(run) == predictions(fresh)


@pytest.mark.slow
def test_processes_choose_the_boxes_that_this_one_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(teaching, "FEWEST", IMAGES)
    data = [*voc(tmp_path, 20), "overlays=0"]
    assert nave_run(*data, into(tmp_path / "pool")) == 0
    monkeypatch.setattr("nave.runs.writer.FEW", 100)
    assert nave_run(*data, into(tmp_path / "alone")) == 0
    assert predictions(tmp_path / "pool") == predictions(tmp_path / "alone")
