import pytest
import safetensors.torch
import torch

from nave.comparison.sides import snapshots, sweeps
from nave.strict_json import to_json
from nave.weights.schemes import CARD

REST = ["data=folder", "name=diff", "skip_existing=true", "stability=1", "foreground=off", "data.root=photos"]


@pytest.fixture
def trained(tmp_path, monkeypatch):
    """A training of 20 epochs of 4 steps with snapshots: some of the same moment, two at its very end."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "outputs" / "encoders"
    folder.mkdir(parents=True)
    moments = {"-epoch20": 80, "-step80": 80, "-step9": 9, "-step0": 0, "-step20": 20, "-step10": 10, "-epoch5": 20}
    for suffix, steps in (moments | {"-epoch0": 0, "-epoch10": 40, "-step30": 30, "": 80, "-other": 4}).items():
        card = {"architecture": "test_resnet", "model": "resnet_tiny", "name": f"tiny{suffix}", "steps": steps}
        card |= {"mean": [0.5], "std": [0.5]}
        path = folder / f"tiny{suffix}.safetensors"
        safetensors.torch.save_file({"weight": torch.zeros(1)}, path, {CARD: to_json(card, path)})
    return folder


def test_files_are_a_sweep_of_weights(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a.pth", "b,c.pth"):
        (tmp_path / name).write_bytes(b"")
    (overrides,) = sweeps(["a.pth", "b,c.pth", "model=resnet50", "data.root=photos"])
    assert overrides == ["model=resnet50", 'weights=a.pth,"b,c.pth"', *REST]
    first, second = sweeps(["a.pth", "b,c.pth", "model=resnet50,vits14", "data.root=photos"])
    assert first[:2] == ["model=resnet50", "weights=a.pth"]
    assert second[:2] == ["model=vits14", 'weights="b,c.pth"']
    with pytest.raises(ValueError, match="one file: name two or more"):
        sweeps(["a.pth", "model=resnet50"])
    with pytest.raises(ValueError, match="name one network, or one for each of 2 files"):
        sweeps(["a.pth", "b,c.pth", "model=resnet50,vits14,vits16"])


def test_a_trained_encoder_names_its_network(trained):
    files = [str(trained / f"tiny{suffix}.safetensors") for suffix in ("-epoch0", "")]
    (overrides,) = sweeps([*files, "data.root=photos"])
    assert overrides == ["model=resnet_tiny", f"training={','.join(files)}", *REST]


def test_a_network_of_timm_is_named_as_one(trained):
    files = []
    for name in ("first", "second"):
        card = {"architecture": "test_resnet", "model": "test_resnet", "name": name, "mean": [0.5], "std": [0.5]}
        files.append(path := trained / f"{name}.safetensors")
        safetensors.torch.save_file({"weight": torch.zeros(1)}, path, {CARD: to_json(card, path)})
    (overrides,) = sweeps([*map(str, files), "data.root=photos"])
    assert overrides == ["model=timm", "architecture=test_resnet", f"training={files[0]},{files[1]}", *REST]


def test_a_training_stands_for_its_steps_in_order_and_the_end_once(trained):
    moments = ("-epoch0", "-step9", "-step10", "-epoch5", "-step30", "-epoch10", "")  # by the number of steps done
    names = [f"tiny{moment}.safetensors" for moment in moments]
    assert [path.name for path in snapshots("tiny")] == names
    assert [path.name for path in snapshots(str(trained / "tiny"))] == names
    (overrides,) = sweeps(["training=tiny", "data.root=photos"])
    assert overrides[0] == "model=resnet_tiny"
    assert overrides[1] == f"training={','.join(f'outputs/encoders/{name}' for name in names)}"


def test_what_the_command_line_says_stays():
    (overrides,) = sweeps(["model=vits14,vits16", "data=voc07", "data.root=/data", "stability=3", "k=3,5"])
    assert overrides[0] == "model=vits14,vits16"
    assert {"stability=3", "data=voc07", "k=3,5"} <= set(overrides)
    assert not {"stability=1", "data=folder"} & set(overrides)


def test_an_encoder_that_does_not_tell_its_steps_is_named(trained):
    path = trained / "tiny-step9.safetensors"
    card = {"architecture": "test_resnet", "model": "resnet_tiny", "name": "tiny", "mean": [0.5], "std": [0.5]}
    safetensors.torch.save_file({"weight": torch.zeros(1)}, path, {CARD: to_json(card, path)})
    with pytest.raises(TypeError, match=r"tiny-step9.safetensors does not say after how many steps"):
        snapshots("tiny")
