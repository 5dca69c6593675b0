"""What a configuration asks of this machine that it does not have: GPUs, cuML, what Lightning refuses here.

The usual values ask for nothing, and then nothing is imported.
"""

import re
from typing import Any

from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from nave.near_names import near

DEVICES = re.compile(r"auto|-1|[1-9]\d*|\d+(,\d+)+,?|\d+,")  # what Lightning takes in a string
GPUS = ("gpu", "cuda", "mps")
CUML = "nave.clustering.cuml.Cuml"
FULL = ("32-true", "32")
HALF = ("16-mixed", "16")
USUAL = {  # what is judged here; of any other choice Lightning knows more, and takes seconds to be imported
    "accelerator": ("auto", "cpu", *GPUS),
    "strategy": ("auto", "ddp"),
    "precision": (*FULL, "bf16-mixed", *HALF),
}
RARE = {
    "accelerator": ("tpu",),
    "strategy": ("ddp_spawn", "fsdp", "deepspeed"),
    "precision": ("bf16", "bf16-true", "16-true", "64-true", "64", "transformer-engine", "transformer-engine-float16"),
}


class CommandLineError(ValueError):
    """An override that cannot be; the message names it, the choices and the nearest one."""


def check_devices(cfg: DictConfig) -> None:
    """Refuses what no machine has; raises :class:`CommandLineError`."""
    for key, usual in USUAL.items():
        value, known = _text(cfg.trainer, key), [*usual, *RARE[key]]
        if value not in known and not (key == "strategy" and value.startswith(("{", *known))):
            choices = f"choose one of {', '.join(known)}.{near(value, known, f'trainer.{key}=')}"
            raise CommandLineError(f"trainer.{key}={value}: {choices}")
    devices = cfg.trainer.get("devices", "auto")
    several = OmegaConf.is_list(devices) and all(isinstance(one, int) for one in devices)
    if not several and not DEVICES.fullmatch(str(devices)):
        choices = "a number, a list of devices such as [0,1], or auto"
        raise CommandLineError(f"trainer.devices={devices}: give {choices}")


def check_machine(cfg: DictConfig) -> None:
    """Refuses what this machine does not have; raises :class:`CommandLineError`."""
    accelerator = _text(cfg.trainer, "accelerator")
    if accelerator in GPUS and not _gpus(accelerator):
        raise CommandLineError(
            f"trainer.accelerator={accelerator}: PyTorch finds no GPU here; choose cpu, or auto, which takes a GPU "
            "where there is one"
        )
    _check_number(accelerator, cfg.trainer.get("devices", "auto"))
    if (precision := _text(cfg.trainer, "precision")) in HALF and not _gpus(accelerator):
        raise CommandLineError(f"trainer.precision={precision}: not on a CPU; choose bf16-mixed or 32-true")
    if "clustering" in cfg and cfg.clustering.get("_target_") == CUML:
        _check_cuml(accelerator)
    unusual = [key for key, usual in USUAL.items() if _text(cfg.trainer, key) not in usual]
    if unusual:
        _ask_lightning(cfg.trainer, unusual)


def _text(trainer: DictConfig, key: str) -> str:
    return str(trainer.get(key, USUAL[key][0]))


def _gpus(accelerator: str) -> int:
    """How many this machine has of those that a run may use."""
    if accelerator == "cpu":
        return 0
    import torch

    if accelerator != "mps" and torch.cuda.is_available():
        return torch.cuda.device_count()
    return int(accelerator != "cuda" and torch.backends.mps.is_available())


def _check_number(accelerator: str, devices: Any) -> None:
    text = ",".join(map(str, devices)) + "," if OmegaConf.is_list(devices) else str(devices)
    if text in ("auto", "1") or accelerator in RARE["accelerator"]:
        return
    gpus = _gpus(accelerator)
    if not gpus and not text.isdigit():
        raise CommandLineError(
            f"trainer.devices={devices}: there is no GPU to choose from; give a number of processes on the CPU"
        )
    numbers = [int(one) for one in text.split(",") if one]
    wanted = max(numbers) + ("," in text)
    if gpus and wanted > gpus:
        several = f"are {gpus} GPUs, 0 to {gpus - 1}" if gpus > 1 else "is one GPU, 0"
        raise CommandLineError(f"trainer.devices={devices}: there {several}; choose of those, or auto for all")


def _check_cuml(accelerator: str) -> None:
    from nave.clustering.cuml import import_cuml

    try:
        import_cuml("cuda" if _gpus(accelerator) and accelerator != "mps" else "cpu")
    except RuntimeError as error:
        raise CommandLineError(str(error)) from error


def _ask_lightning(trainer: DictConfig, unusual: list[str]) -> None:
    from nave.command_line.job import quiet_lightning

    quiet_lightning()
    try:
        instantiate(trainer)
    except InstantiationException as error:
        values = ", ".join(f"trainer.{key}={trainer[key]}" for key in unusual)
        raise CommandLineError(f"{values}: {error.__cause__ or error}") from error
