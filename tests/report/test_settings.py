from nave.report.collect import k_order, runs, variants
from nave.report.settings import axes, distinguished, label
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


def test_auto_comes_after_the_numbers():
    assert sorted(["auto", "10", "3"], key=k_order) == ["3", "10", "auto"]
