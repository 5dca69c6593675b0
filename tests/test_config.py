"""Every file of every group, composed and built."""

from functools import cache
from importlib.resources import files
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra import compose, initialize_config_module
from hydra.errors import ConfigCompositionException
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from nave.config import numbers_of_clusters, register, run_name
from nave.data.errors import MissingDataset
from nave.encoder import Encoder
from nave.run import built
from tests.conf.rows import rows

CONF = Path(str(files("nave") / "conf"))
GROUPS = ("model", "data", "composite", "clustering", "localization", "logger")
FILES = [(group, path.stem) for group in GROUPS for path in sorted((CONF / group).glob("*.yaml"))]
EXPERIMENTS = sorted(path.stem for path in (CONF / "experiment").glob("*.yaml"))
HEADER = ("# Question:", "# Command:", "# Expected:", "# Minutes:", "# Hardware:")


def chosen(group: str, name: str) -> str:
    return f"{group}=[{name}]" if group == "logger" else f"{group}={name}"


# one file of every group at a time, groups that end begin again: each file is composed, in few compositions
ROWS = rows([[chosen(group, name) for found, name in FILES if found == group] for group in GROUPS])


@cache
def with_file(group: str, name: str) -> DictConfig:
    """A composition with that file, and with others that are not asked about."""
    return of_row(next(row for row in ROWS if chosen(group, name) in row))


@cache
def of_row(row: tuple[str, ...]) -> DictConfig:
    return composed(*row, "training=random")


def composed(*overrides: str, with_hydra: bool = False) -> DictConfig:
    register()
    with initialize_config_module("nave.conf", version_base="1.3"):
        return compose("config", overrides=list(overrides), return_hydra_config=with_hydra)


@pytest.mark.parametrize("overrides", ROWS, ids=" ".join)
def test_every_file_is_composed_and_resolves(overrides: tuple[str, ...]) -> None:
    resolved = OmegaConf.to_container(of_row(overrides), resolve=True, throw_on_missing=True)
    assert isinstance(resolved, dict)


@pytest.mark.parametrize("name", [name for group, name in FILES if group == "model"])
def test_every_model_is_built(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    make = torch.device("meta")
    cfg = with_file("model", name)
    with make:
        encoder = instantiate(cfg.model, layers=cfg.layers, _convert_="all")
    assert isinstance(encoder, Encoder)
    assert encoder.name == name
    assert all(parameter.device == make for parameter in encoder.network.parameters())


@pytest.mark.parametrize("name", [name for group, name in FILES if group == "data"])
def test_every_data_set_is_built_or_says_what_is_missing(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NAVE_DATA", str(tmp_path))
    cfg = with_file("data", name)
    if name in (here := {"sample": 8, "shapes": 500}):
        assert len(built(cfg.data)) == here[name]
        return
    with pytest.raises(MissingDataset):
        len(built(cfg.data))


@pytest.mark.parametrize(("group", "name"), [one for one in FILES if one[0] in ("composite", "localization")])
def test_every_composer_and_localizer_is_built(group: str, name: str) -> None:
    cfg = with_file(group, name)
    assert instantiate(cfg.composer, _convert_="all")
    assert instantiate(cfg.localization, _convert_="all")


@pytest.mark.parametrize("name", [name for group, name in FILES if group == "clustering"])
def test_every_engine_is_built(name: str) -> None:
    if name == "cuml":
        pytest.importorskip("cuml")
    assert instantiate(with_file("clustering", name).clustering, _convert_="all")


@pytest.mark.parametrize("name", [name for group, name in FILES if group == "logger"])
def test_every_logger_is_built(name: str) -> None:
    cfg = with_file("logger", name)
    assert hasattr(instantiate(cfg.logger[name], _convert_="all"), "log")


@pytest.mark.filterwarnings("ignore:The `srun` command is available")  # where there is a SLURM
def test_the_loader_and_the_trainer_are_built() -> None:
    cfg = composed("trainer.accelerator=cpu")
    assert instantiate(cfg.loader, dataset=instantiate(cfg.data), _convert_="all").count == 8
    assert instantiate(cfg.trainer, _convert_="all").world_size == 1


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_experiment_is_composed_has_its_header_and_gives_way_to_the_command_line(name: str) -> None:
    if name == "search":
        pytest.importorskip("hydra_plugins.hydra_optuna_sweeper")
    cfg = composed(f"experiment={name}", "k=4")
    assert cfg.name != "nave"
    assert cfg.k == 4
    text = (CONF / "experiment" / f"{name}.yaml").read_text()
    assert text.startswith("# @package _global_\n")
    for line in HEADER:
        assert line in text, f"{name} has no line {line}"
    assert f"experiment={name}" in text


def test_experiments_lie_flat() -> None:
    assert not [path for path in (CONF / "experiment").iterdir() if path.is_dir()]


def test_the_slurm_launcher_follows_the_trainer() -> None:
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher")
    overrides = ["hydra/launcher=slurm", "trainer.devices=4", "trainer.num_nodes=2"]
    launcher = composed(*overrides, with_hydra=True).hydra.launcher
    assert (launcher.tasks_per_node, launcher.nodes) == (4, 2)
    assert launcher.additional_parameters.requeue is True


def test_the_local_launcher_runs_as_many_jobs_as_it_is_told() -> None:
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
    launcher = composed("hydra/launcher=local", "hydra.launcher.n_jobs=3", with_hydra=True).hydra.launcher
    assert (launcher.n_jobs, launcher.batch_size) == (3, "1")


@pytest.mark.parametrize("key", ["nonsense=1", "trainer.nonsense=1", "model.nonsense=1", "evaluation.nonsense=1"])
def test_stray_keys_are_refused(key: str) -> None:
    with pytest.raises(ConfigCompositionException, match="nonsense"):
        composed(key)


@pytest.mark.parametrize("content", ["nonsense: 1\n", "evaluation:\n  nonsense: 1\n"])
def test_stray_keys_of_an_experiment_file_are_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "stray.yaml").write_text(f"# @package _global_\n{content}")
    with pytest.raises(ConfigCompositionException, match="nonsense"):
        composed(f"hydra.searchpath=[file://{tmp_path}]", "experiment=stray")


def test_an_experiment_beats_the_defaults() -> None:
    assert composed("experiment=localisation_voc07").model.name == "vits16"


@pytest.mark.parametrize(
    ("k", "expected"), [(5, (5,)), ("auto", ("auto",)), ([3, 5], (3, 5)), (["auto", 2], ("auto", 2)), (255, (255,))]
)
def test_numbers_of_clusters(k: Any, expected: tuple[int | str, ...]) -> None:
    assert numbers_of_clusters(k) == expected


@pytest.mark.parametrize("k", [0, 256, -1, 2.5, "many", True, [], [3, 3], [3, 0], None])
def test_impossible_numbers_of_clusters_are_told(k: Any) -> None:
    with pytest.raises(ValueError, match="k="):
        numbers_of_clusters(k)


def test_a_jobs_folder_is_readable() -> None:
    overrides = ["model=vits14", "k=5", "skip_existing=true", "logger=wandb", "data=voc07", "layers=[-2,-1]"]
    assert run_name("vits14", "default", 5, overrides) == "vits14-default-k5-data=voc07-layers=_-2,-1_"
    assert run_name("vits14", "dino", [3, 5], []) == "vits14-dino-k3+5"


def test_a_long_name_is_cut_and_stays_unique() -> None:
    names = {run_name("vits14", "default", 5, [f"data.root={'x' * 200}{end}"]) for end in "ab"}
    assert len(names) == 2
    assert max(map(len, names)) <= 150


def test_overrides_of_several_groups_meet() -> None:
    files_of_logger = [name for group, name in FILES if group == "logger"]
    cfg = composed(f"logger=[{','.join(files_of_logger)}]", "logger.images=3")
    assert set(files_of_logger) <= set(cfg.logger)
    assert cfg.logger.wandb.images == cfg.logger.tensorboard.images == 3
    assert list(chain(composed().logger)) == []
