from nave.report.collect import k_order, runs, variants
from nave.report.settings import axes, distinguished, label, told_apart
from tests.report.writers import write_run


def shown(*folders):
    return distinguished(variants(runs(folders)))


def test_k_alone_names_the_maps_of_one_run(tmp_path):
    found = shown(write_run(tmp_path, ks=(10, 3)))
    assert axes(found) == {"k": ["3", "10"]}
    assert [label(variant, list(axes(found))) for variant in found] == ["K 3", "K 10"]


def test_only_what_differs_is_named(tmp_path):
    write_run(tmp_path / "a", overrides={"model.name": "resnet18"})
    write_run(tmp_path / "b", overrides={"model.name": "swin_t", "name": "other", "overlays": False})
    found = shown(tmp_path)
    assert list(axes(found)) == ["model"]  # layers follow the model, name and overlays matter to no map
    assert [label(variant, ["model"]) for variant in found] == ["resnet18", "swin_t"]


def test_keys_of_one_class_alone_are_told_by_the_class(tmp_path):
    write_run(
        tmp_path / "a", overrides={"clustering": {"_target_": "nave.clustering.factored.Factored", "tolerance": 0}}
    )
    write_run(tmp_path / "b", overrides={"clustering": {"_target_": "nave.clustering.ward.Ward"}})
    found = shown(tmp_path)
    assert axes(found) == {"clustering._target_": ["Factored", "Ward"]}
    assert label(found[1], list(axes(found))) == "clustering Ward"


def test_runs_of_the_same_settings_are_told_apart_by_their_folders(tmp_path):
    found = shown(write_run(tmp_path / "first" / "job"), write_run(tmp_path / "second" / "job"))
    assert axes(found) == {"run": ["first/job", "second/job"]}


def test_long_names_of_trained_encoders_are_told_by_what_differs():
    made = "resnet_tiny-shapes-supervised-optimizer.lr_{}-watermark_{}-seed0"
    assert told_apart([made.format("3e-3", "null"), made.format("1e-3", "square"), "random", "dino-v2"]) == {
        made.format("3e-3", "null"): "optimizer.lr_3e-3-watermark_null",
        made.format("1e-3", "square"): "optimizer.lr_1e-3-watermark_square",
        "random": "random",
        "dino-v2": "dino-v2",
    }


def test_a_name_of_common_parts_alone_stays_and_so_do_names_that_would_be_alike():
    plain, more = "resnet_tiny-shapes-supervised-seed0", "resnet_tiny-shapes-supervised-exclude_dog-seed0"
    assert told_apart([plain, more]) == {plain: plain, more: "exclude_dog"}
    assert told_apart([plain, more, "exclude_dog"])[more] == more
    assert told_apart([plain]) == {plain: plain}


def test_auto_comes_after_the_numbers():
    assert sorted(["auto", "10", "3"], key=k_order) == ["3", "10", "auto"]
