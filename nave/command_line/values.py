"""Values of a configuration that cannot be, found before a folder is made, and without torch where that is possible."""

import logging
from collections.abc import Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from nave.command_line.machine import CommandLineError, check_devices, check_machine
from nave.command_line.timm_names import is_unknown, timm_names
from nave.config import ASKED, check, numbers_of_clusters
from nave.limits import TRAINING, check_numbers
from nave.near_names import near
from nave.weights.naming import SUFFIX, no_such_training, trained_names

LISTS = ("nave.data.voc.VOC", "nave.data.stl10.STL10")  # opened in a tenth of a second; others read all they have
ENCODER, TIMM = "nave.encoder.encoder.Encoder", "nave.encoder.timm_network.timm_encoder"


def check_values(cfg: DictConfig, overrides: Sequence[str], elsewhere: bool) -> None:
    """Checks what can be known without reading data or weights; ``elsewhere``: another machine has the files.

    What needs torch comes last; whoever asks for it imports it anyway.
    """
    given = {override.partition("=")[0] for override in overrides}
    if "k" in cfg:
        numbers_of_clusters(OmegaConf.to_object(cfg.k) if OmegaConf.is_config(cfg.k) else cfg.k)
    else:
        check_numbers(cfg, TRAINING)
    _check_architecture(cfg)
    check_devices(cfg)
    if not elsewhere:
        _check_weights(cfg)
        _check_root(cfg, "data.root" in given)
    if "k" in cfg:
        check(cfg)
    if not elsewhere:
        check_machine(cfg)
        _check_training(cfg)
        if "layers" in given:
            _check_layers(cfg)
    _check_parts(cfg, given)


def _near_file(path: Path, key: str) -> str:
    beside = [one.name for one in path.absolute().parent.glob("*")]
    return near(path.name, beside, f"{key}={path.parent / '_'}"[:-1])


def _check_architecture(cfg: DictConfig) -> None:
    asked = ASKED in OmegaConf.to_container(cfg.model).values()  # type: ignore[union-attr]
    if asked and cfg.architecture is not None and is_unknown(cfg.architecture):
        close = near(cfg.architecture.partition(".")[0], sorted(timm_names()), "architecture=")
        more = close or " python -c \"import timm; print(timm.list_models('*vit*'))\" lists those with vit in them"
        raise CommandLineError(f"architecture={cfg.architecture}: timm {version('timm')} has no such network.{more}")


def _check_training(cfg: DictConfig) -> None:
    training = str(cfg.training)
    if cfg.weights is not None or training in trained_names() or training.endswith(SUFFIX):
        return
    schemes = _schemes(cfg)
    if schemes and training not in schemes:
        raise CommandLineError(no_such_training(f"model={cfg.model.name}", training, schemes))


def _schemes(cfg: DictConfig) -> list[str]:
    """Those of the model; empty if it is one of somebody's own."""
    if "schemes" in cfg.model or cfg.model._target_ != TIMM:
        return [*cfg.model.get("schemes", [])]
    from nave.encoder.timm_network import describe

    return [*describe(cfg.model.architecture).schemes]


def _check_layers(cfg: DictConfig) -> None:
    """On a network without memory; an encoder that is read from a file may be another one."""
    if cfg.model._target_ not in (ENCODER, TIMM) or cfg.weights is not None or str(cfg.training) not in _schemes(cfg):
        return
    from nave.encoder.timm_network import check_layers

    options: Any = OmegaConf.to_container(cfg.model.options) if "options" in cfg.model else {}
    check_layers(cfg.model.architecture, [*cfg.layers], options)


def _check_parts(cfg: DictConfig, given: set[str]) -> None:
    """Makes the parts of which an option is given: they know their choices, and need torch."""
    for part in ("composite", "clustering", "localization"):
        if part in cfg and any(key.startswith(f"{part}.") for key in given):
            _made(OmegaConf.to_yaml(cfg[part], resolve=True))


def _check_weights(cfg: DictConfig) -> None:
    file = cfg.weights and Path(cfg.weights).expanduser()
    if file and not file.exists():
        hint = _near_file(file, "weights")
        raise CommandLineError(f"weights={cfg.weights} does not exist; looked for {file.absolute()}.{hint}")


def _check_root(cfg: DictConfig, given: bool) -> None:
    root = cfg.data.get("root") and Path(cfg.data.root).expanduser()
    if given and root and not root.exists() and not cfg.data.get("download", False):
        hint = _near_file(root, "data.root")
        raise CommandLineError(f"data.root={cfg.data.root} does not exist; looked for {root.absolute()}.{hint}")
    if cfg.data._target_ == "nave.data.folder.Folder":
        from nave.data.folder import existing  # imports Pillow and NumPy, which other data sets do not need here

        existing(root)
        return
    nowhere = cfg.data.get("annotations") is None and (root is None or not root.exists())
    if "root" in cfg.data and (cfg.data._target_ in LISTS or nowhere):
        _made(OmegaConf.to_yaml(cfg.data, resolve=True))


@cache
def _made(node: str) -> None:
    """Makes a part or looks for a data set, once for all jobs of a sweep."""
    logging.disable(logging.WARNING)  # the job will say it, once
    try:
        instantiate(OmegaConf.create(node), _convert_="all")
    except InstantiationException as error:
        raise error.__cause__ or error from None
    finally:
        logging.disable(logging.NOTSET)
