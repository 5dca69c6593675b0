"""Every file that a training's configuration is made of, composed and built."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hydra.errors import ConfigCompositionException
from lightning import Trainer
from omegaconf import DictConfig, OmegaConf
from PIL import Image

from nave.build import build_loggers, instantiate
from nave.training.schemes import Scheme
from tests.helpers.compositions import choices, rows
from tests.helpers.compositions import composed as composed_config

ROWS = rows(("model", "data", "scheme", "augmentation", "optimizer", "logger"))  # each recipe comes with its data set


def composed(*overrides: str) -> DictConfig:
    return composed_config("train", *overrides)


@pytest.mark.parametrize("overrides", ROWS, ids=" ".join)
def test_every_file_is_composed_and_resolves(overrides: tuple[str, ...]) -> None:
    resolved = OmegaConf.to_container(composed(*overrides), resolve=True, throw_on_missing=True)
    assert isinstance(resolved, dict)


@pytest.mark.parametrize("name", [name for name in choices("scheme") if name != "random"])
def test_every_scheme_is_built(name: str) -> None:
    if name == "simclr":
        pytest.importorskip("lightly")
    assert isinstance(instantiate(composed(f"scheme={name}").scheme, width=8), Scheme)


def test_the_scheme_without_training_is_nothing() -> None:
    cfg = composed("scheme=random")
    assert (cfg.scheme, cfg.epochs) == ({}, 0)


@pytest.mark.parametrize("name", choices("augmentation"))
def test_every_augmentation_gives_the_size_that_is_asked_for(name: str) -> None:
    augmentation = instantiate(composed(f"augmentation={name}", "image_size=24").augmentation)
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8))
    assert augmentation(image).size == (24, 24)


@pytest.mark.parametrize("name", choices("optimizer"))
def test_every_optimizer_is_built(name: str) -> None:
    make = instantiate(composed(f"optimizer={name}").optimizer)
    assert isinstance(make([torch.zeros(2, requires_grad=True)]), torch.optim.Optimizer)


@pytest.mark.parametrize("name", [name for name in choices("logger") if name != "wandb"])
def test_every_logger_of_lightning_follows_a_training(name: str, tmp_path: Path) -> None:
    for attempt in (1, 2):
        logger = build_loggers(composed(f"logger=[{name}]").logger)[name].training_logger(tmp_path, attempt)
        logger.log_metrics({"loss": 1.0}, step=attempt)
        logger.save()
    assert list(tmp_path.rglob("metrics.csv" if name == "csv" else "events*"))


@pytest.mark.filterwarnings("ignore:The `srun` command is available")  # where there is a SLURM
def test_the_trainer_is_built() -> None:
    assert isinstance(instantiate(composed("trainer.accelerator=cpu").trainer, logger=False), Trainer)


def test_a_recipe_says_which_images_teach_and_the_command_line_beats_it() -> None:
    cfg = composed()
    assert (cfg.data.split, cfg.validation) == ("train", {"split": "test"})
    cfg = composed("data=chestxray14", "image_size=64", "validation=0.2")
    assert (cfg.data.split, cfg.validation, cfg.image_size) == ("train_val", 0.2, 64)
    assert composed("data=image_folder").validation == 0.1


@pytest.mark.parametrize("key", ["nonsense=1", "trainer.nonsense=1", "scheme.nonsense=1", "k=5"])
def test_stray_keys_are_refused(key: str) -> None:
    with pytest.raises(ConfigCompositionException, match=key.partition("=")[0].rpartition(".")[2]):
        composed(key)


def test_every_recipe_is_that_of_a_data_set() -> None:
    assert set(choices("recipe")) <= set(choices("data"))
