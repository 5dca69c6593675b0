"""The files that people have: each kind with the structure that its software writes, around a tiny network."""

import argparse
import logging
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path, PosixPath
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import timm
import torch
import torchvision
from omegaconf import OmegaConf
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from nave.weights.file import WeightsError, file_weights
from nave.weights.loading import load_best
from nave.weights.tensor_sets import TensorSet

State = dict[str, Any]
HEAD = {"mlp.0.weight": torch.ones(2, 64), "last_layer.weight": torch.ones(2)}


def network(name: str, seed: int, **options: Any) -> nn.Module:
    torch.manual_seed(seed)
    made: nn.Module = timm.create_model(name, **options)
    for module in made.modules():
        if isinstance(module, nn.BatchNorm2d):  # as after training
            nn.init.uniform_(module.running_mean)
            nn.init.uniform_(module.running_var, 0.5, 2)
    return made


def state(name: str, seed: int, **options: Any) -> State:
    return dict(network(name, seed, **options).state_dict())


def under(prefix: str, tensors: Mapping[str, Tensor]) -> State:
    return {f"{prefix}{name}": tensor for name, tensor in tensors.items()}


VIT, OTHER = state("test_vit", 1), state("test_vit", 2)
RESNET, MOMENTUM = state("test_resnet", 1), state("test_resnet", 2)
HEADLESS = {name: tensor for name, tensor in VIT.items() if not name.startswith("head.")}
OTHER_HEADLESS = {name: tensor for name, tensor in OTHER.items() if not name.startswith("head.")}
OPTIMIZER = {
    "state": {0: {"step": torch.tensor(3.0), "exp_avg": torch.ones(2)}},
    "param_groups": [{"lr": np.float64(0.1)}],
}
DECODER = {
    **{"mask_token": torch.ones(1, 1, 32), "decoder_pos_embed": torch.ones(1, 101, 32)},
    **{f"decoder_blocks.{block}.norm1.weight": torch.ones(32) for block in range(90)},
}


def timm_train() -> State:
    """timm.utils.CheckpointSaver: the arguments are a Namespace."""
    args = argparse.Namespace(model="test_vit", output=PosixPath("out"), opt_betas=None)
    common = {
        "epoch": 3,
        "arch": "test_vit",
        "optimizer": OPTIMIZER,
        "version": 2,
        "args": args,
        "metric": np.float64(71.5),
    }
    return {**common, "state_dict": OTHER, "state_dict_ema": VIT, "amp_scaler": {"scale": 65536.0}}


def lightning() -> State:
    """A LightningModule with student and teacher; its hyperparameters are OmegaConf's."""
    both = under("student.backbone.", OTHER_HEADLESS) | under("teacher.backbone.", HEADLESS)
    heads = under("student.head.", HEAD) | under("teacher.head.", HEAD) | {"dino_loss.center": torch.ones(1, 2)}
    hyper = OmegaConf.create({"backbone": "test_vit", "lr": [1, 2]})
    return {"pytorch-lightning_version": "2.6.0", "state_dict": both | heads, "hyper_parameters": hyper, "loops": {}}


def moco_v2() -> State:
    both = under("module.encoder_q.", RESNET) | under("module.encoder_k.", MOMENTUM)
    queue = {"module.queue": torch.ones(64, 128), "module.queue_ptr": torch.zeros(1, dtype=torch.long)}
    projection = under("module.encoder_q.fc.0.", {"weight": torch.ones(64, 64), "bias": torch.ones(64)})
    return {"epoch": 200, "arch": "resnet", "state_dict": both | projection | queue, "optimizer": OPTIMIZER}


def moco_v3() -> State:
    both = under("module.base_encoder.", HEADLESS) | under("module.momentum_encoder.", OTHER_HEADLESS)
    heads = under("module.base_encoder.head.", HEAD) | under("module.predictor.", HEAD)
    return {"epoch": 300, "arch": "vit", "state_dict": both | heads, "scaler": {}}


def dino() -> State:
    student = under("module.backbone.", OTHER_HEADLESS) | under("module.head.", HEAD)
    teacher = under("backbone.", HEADLESS) | under("head.", HEAD)
    loss = {"center": torch.zeros(1, 2)}
    return {"student": student, "teacher": teacher, "epoch": 100, "args": argparse.Namespace(), "dino_loss": loss}


def averaged() -> State:
    model = AveragedModel(network("test_resnet", 1))
    return dict(model.state_dict())


def ema() -> State:
    return {
        "model": under("module.", OTHER),
        "ema_state_dict": under("module.", VIT),
        "config": defaultdict(list, a=[1]),
    }


def compiled() -> State:
    """torch.compile of the whole network, and of each block."""
    return {
        "model": under("_orig_mod.", {name.replace("blocks.1.", "blocks.1._orig_mod."): t for name, t in VIT.items()})
    }


KINDS: dict[str, tuple[Callable[[], object], str, Mapping[str, Tensor], str]] = {
    "timm's train.py": (timm_train, "test_vit", VIT, "state_dict_ema"),
    "lightning": (lightning, "test_vit", VIT, "state_dict.teacher.backbone"),
    "moco v2": (moco_v2, "test_resnet", RESNET, "state_dict.module.encoder_q"),
    "moco v3": (moco_v3, "test_vit", VIT, "state_dict.module.base_encoder"),
    "dino": (dino, "test_vit", VIT, "teacher.backbone"),
    "dino, flat": (lambda: HEADLESS | under("head.", HEAD), "test_vit", VIT, ""),
    "mae": (lambda: {"model": HEADLESS | DECODER, "scaler": {}}, "test_vit", VIT, "model"),
    "parallel": (lambda: under("module.", RESNET), "test_resnet", RESNET, "module"),
    "model_ema": (lambda: {"model": OTHER, "model_ema": VIT}, "test_vit", VIT, "model_ema"),
    "no average": (lambda: {"model": VIT, "model_ema": None}, "test_vit", VIT, "model"),
    "ema_state_dict": (ema, "test_vit", VIT, "ema_state_dict.module"),
    "averaged": (averaged, "test_resnet", RESNET, "module"),
    "compiled": (compiled, "test_vit", VIT, "model"),
    "whole module": (lambda: {"model": network("test_resnet", 1)}, "test_resnet", RESNET, "model"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_weights_that_authors_evaluate_are_loaded(tmp_path: Path, kind: str) -> None:
    content, architecture, expected, place = KINDS[kind]
    torch.save(content(), tmp_path / "mine.pth")
    assert_loaded(tmp_path / "mine.pth", architecture, expected, place)


def assert_loaded(
    path: Path, architecture: str, expected: Mapping[str, Tensor], place: str, key: str | None = None
) -> None:
    model = network(architecture, 9, num_classes=0)
    assert load_best(model, file_weights(path)[0], f"file {path.name}", key)[0] == place
    for name, tensor in model.state_dict().items():
        torch.testing.assert_close(tensor, expected[name], rtol=0, atol=0)


@pytest.mark.parametrize(
    ("kind", "key", "expected", "place"),
    [
        ("dino", "student", OTHER, "student.module.backbone"),
        ("lightning", "student", OTHER, "state_dict.student.backbone"),
        ("moco v2", "encoder_k", MOMENTUM, "state_dict.module.encoder_k"),
        ("moco v3", "module.momentum_encoder.", OTHER, "state_dict.module.momentum_encoder"),
        ("timm's train.py", "state_dict", OTHER, "state_dict"),
    ],
)
def test_the_other_weights_can_be_chosen(
    tmp_path: Path, kind: str, key: str, expected: Mapping[str, Tensor], place: str
) -> None:
    content, architecture, *_ = KINDS[kind]
    torch.save(content(), tmp_path / "mine.pth")
    assert_loaded(tmp_path / "mine.pth", architecture, expected, place, key)


def test_the_choice_and_what_is_left_out_are_stated(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    torch.save({"student": VIT, "teacher": OTHER | DECODER}, tmp_path / "mine.pth")
    load_best(network("test_vit", 0), file_weights(tmp_path / "mine.pth")[0], "file mine.pth")
    assert caplog.messages == [
        "file mine.pth: teacher is taken, and student would fit too; weights_key=student takes another",
        "file mine.pth: left out, as it lies beside the network: decoder_pos_embed, decoder_blocks",
    ]


def test_torchvisions_resnet_has_timms_names(tmp_path: Path) -> None:
    torch.save(torchvision.models.resnet18(weights=None).state_dict(), tmp_path / "resnet18.pth")
    expected = torch.load(tmp_path / "resnet18.pth", weights_only=True)
    assert_loaded(tmp_path / "resnet18.pth", "resnet18", expected, "")


@pytest.mark.parametrize("suffix", [".pth", ".bin", ".ckpt", ""])
def test_safetensors_whatever_the_suffix(tmp_path: Path, suffix: str) -> None:
    safetensors.torch.save_file(under("teacher.backbone.", HEADLESS), tmp_path / f"mine{suffix}")
    assert_loaded(tmp_path / f"mine{suffix}", "test_vit", VIT, "teacher.backbone")


def test_the_form_of_files_before_torch_1_6(tmp_path: Path) -> None:
    torch.save(timm_train(), tmp_path / "old.pth.tar", _use_new_zipfile_serialization=False)
    assert_loaded(tmp_path / "old.pth.tar", "test_vit", VIT, "state_dict_ema")


def test_the_prefix_that_fits_best_is_named_with_what_it_lacks(tmp_path: Path) -> None:
    content = moco_v2()
    del content["state_dict"]["module.encoder_q.layer1.0.conv1.weight"]
    del content["state_dict"]["module.encoder_k.layer1.0.conv1.weight"]
    torch.save(content, tmp_path / "mine.pth")
    model = network("test_resnet", 0)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    named = (
        r"prefix 'state_dict\.module\.encoder_q\.' fits 74 of 75 tensors of test_resnet; 1 missing \(layer1\.0\.conv1"
    )
    with pytest.raises(WeightsError, match=named):
        load_best(model, file_weights(tmp_path / "mine.pth")[0], "file mine.pth")
    torch.testing.assert_close(dict(model.state_dict()), before, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (state("test_vit", 1, depth=7), r"78 of 78 tensors of test_vit; 12 unexpected \(blocks\.6\.norm1\.weight"),
        (HEADLESS | {"reg_token": torch.ones(1, 4, 64)}, r"78 of 78 tensors of test_vit; 1 unexpected \(reg_token\)"),
    ],
)
def test_a_deeper_network_and_one_with_registers_are_others(given: State, message: str) -> None:
    with pytest.raises(WeightsError, match=message):
        load_best(network("test_vit", 0), [TensorSet((), given)], "test")
