import logging
import sys
from pathlib import Path
from typing import Any

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from nave.command_line.overrides import check_overrides, quoted, with_quoting_hint
from tests.helpers.datasets import write_stl10


@pytest.mark.parametrize("value", ["/a=b", "/a,b", "/a(b", "/it's", '/a"b', "/a b[1]{2}", "/caf\u00e9:x"])
def test_quoted_values_are_read_as_they_are(value: str) -> None:
    (override,) = OverridesParser.create().parse_overrides([quoted(f"data.root={value}")])
    assert (override.key_or_group, override.value()) == ("data.root", value)


def failing() -> Any:
    sys.exit(1)


@pytest.mark.parametrize(
    ("arguments", "hints"),
    [
        (["k=3", "data.root=/a=b"], ["'data.root=\"/a=b\"'"]),
        (["data.root=/a,b"], ["'data.root=\"/a,b\"'"]),
        (["-m", "k=3,5", "data.root=/a(b"], ["'data.root=\"/a(b\"'"]),
        (["k=[3,5]", "data.root=/a", "--help"], []),
    ],
)
def test_what_hydra_cannot_read_is_quoted(
    arguments: list[str], hints: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["nave", *arguments])
    with pytest.raises(SystemExit):
        with_quoting_hint(failing)()
    told = [line.partition(": ")[2] for line in capsys.readouterr().err.splitlines()]
    assert told == hints


@pytest.mark.parametrize(
    ("config", "overrides", "message"),
    [
        ("config", ["modle=vits14"], r"no key modle \(modle=vits14\).* Did you mean model\?"),
        ("config", ["evaluation.iuo=1"], "no key evaluation.iuo .* Did you mean evaluation.iou"),
        ("config", ["model=vits15"], r"no model=vits15; choose one of convnext_t, .* Did you mean model=vits1"),
        ("config", ["k=3,5", "model=vits14,resnet51"], "no model=resnet51; .* Did you mean model=resnet5"),
        ("config", ["seed=0,1", "k=3,300"], "k=300: the number of clusters"),
        (
            "config",
            ["training=dinoo"],
            "has no training=dinoo; it has default, .*Did you mean training=dino",
        ),
        ("config", ["experiment=serach"], r"no experiment=serach; .* Did you mean experiment=search\?"),
        ("config", ["weights=/bn"], r"Did you mean weights=/bin\?"),
        ("config", ["seed=abc"], "'abc' of type 'str' could not be converted to Integer"),
        ("config", ["objective=corlok"], "objective=corlok: choose one of"),
        ("config", ["data.root=photos/"], r"Did you mean data=folder data\.root=photos/\?"),
        (
            "config",
            ["data=folder", "data.root=phtos"],
            r"root=phtos does not exist.* Did you mean data\.root=photos",
        ),
        ("config", ["model=vits41"], r"Did you mean model=vits14\?"),
        ("config", ["data=shapes", "data.image=3"], r"--help data=shapes lists all\. Did you mean data\.images\?"),
        ("config", ["weights=phtos"], r"weights=phtos does not exist.* Did you mean weights=photos\?"),
        (
            "config",
            ["model=timm", "architecture=resnt50"],
            r"has no such network\. Did you mean architecture=res",
        ),
        ("config", ["model=timm", "architecture=resnet18", "training=tv_in1"], "no training=tv_in1; it has default, "),
        ("config", ["layers=[-99]"], "layer -99 is out of range: VisionTransformer has 12 layers, -12 to 11"),
        ("config", ["trainer.devices=two"], r"trainer\.devices=two: give a number, a list .* or auto"),
        ("config", ["trainer.devices=0"], r"trainer\.devices=0: give a number"),
        ("config", ["seed=0,1", "loader.limit=3,-1"], r"loader\.limit=-1: give a whole number from 1 on, or null"),
        ("config", ["composite.resolution=[0,9]"], r"composite\.resolution=\[0, 9\]: choose input, grid"),
        ("config", ["localization=tokencut", "localization.tau=2"], r"localization\.tau=2: must be a cosine"),
        ("train", ["data=shapes", "loader.batch_size=1"], r"loader\.batch_size=1: give a whole number from 2 on"),
        ("train", ["data=shapes", "label_smoothing=2"], r"label_smoothing=2\.0: give a number from 0 to 1"),
        ("train", ["ephocs=3"], "Did you mean epochs"),
        ("train", ["model=timm", "architecture=resnt50", "data=shapes"], "Did you mean architecture=res"),
        ("train", ["recipe=shaps"], r"no recipe=shaps; .* Did you mean recipe=shapes\?"),
        ("train", ["scheme=simclrr"], "Did you mean scheme=simclr"),
    ],
)
def test_a_typo_is_named_with_what_was_meant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, config: str, overrides: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    with pytest.raises(ValueError, match=message):
        check_overrides(config, overrides)
    assert [path.name for path in tmp_path.iterdir()] == ["photos"]


def test_what_a_data_set_has_to_say_is_left_to_the_job(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    check_overrides("config", ["data=stl10", f"data.root={write_stl10(tmp_path)}"])
    assert not caplog.records
    logging.getLogger("nave.data").warning("of the job")
    assert "of the job" in caplog.text


@pytest.mark.parametrize("data", ["voc07", "coco20k", "stl10", "chestxray14", "image_folder"])
def test_a_data_set_that_is_not_there_is_missed_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: str
) -> None:
    monkeypatch.delenv("NAVE_DATA", raising=False)
    with pytest.raises(FileNotFoundError, match=r"looked in nowhere|no image folder given"):
        check_overrides("config", [f"data={data}"])
    if data in ("voc07", "stl10"):  # others read all they have: their folder alone is looked for
        with pytest.raises(FileNotFoundError, match=r"Expected layout:\n"):
            check_overrides("config", [f"data={data}", f"data.root={tmp_path}"])


def test_of_many_encoders_trained_here_few_are_listed_and_the_nearest_is_meant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "outputs" / "encoders").mkdir(parents=True)
    for epoch in range(5):
        (tmp_path / "outputs" / "encoders" / f"mine-epoch{epoch}.safetensors").touch()
    with pytest.raises(ValueError, match=r"mine-epoch2 and 2 more\. Did you mean training=mine-epoch4"):
        check_overrides("config", ["training=mine_epoch4"])


def test_what_can_run_is_let_through(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "mine.yaml").write_text("defaults: [vits14]\nname: mine\n")
    sweep = [
        "model=vits14,mine",
        "k=3,[3,5]",
        "seed=range(2)",
        "layers=[-1],[-2,-1]",
        "composite.resolution=interval(0,1)",
    ]
    check_overrides("config", sweep, str(tmp_path))
    check_overrides("config", ["hydra/launcher=slurm", "data=folder", "data.root=/on/the/cluster", "training=theirs"])
    with pytest.raises(FileNotFoundError, match=r"no image folder given; name one: data\.root=photos/"):
        check_overrides("config", ["data=folder"])
    check_overrides("train", ["model=resnet_tiny", "data=shapes", "seed=0,1"])
    check_overrides("train", ["model=resnet_tiny", "data=shapes", "recipe=stl10"])
