"""Every file of every group of a run's configuration, composed and built."""

import inspect
from functools import cache
from pathlib import Path

import pytest
import torch
import yaml
from hydra.errors import ConfigCompositionException
from hydra.utils import get_method
from omegaconf import DictConfig, OmegaConf

from nave.build import build_loggers, instantiate
from nave.config import CONF
from nave.data.interface import MissingDatasetError
from nave.encoder.encoder import Encoder
from tests.helpers.compositions import choices, composed, override, rows

GROUPS = ("model", "data", "composite", "clustering", "localization", "logger")
ROWS = rows(GROUPS)
HEADER = ("# Question:", "# Command:", "# Expected:", "# Minutes:", "# Hardware:")


@cache
def with_row(row: tuple[str, ...]) -> DictConfig:
    return composed("config", *row, "training=random")


def with_choice(group: str, name: str) -> DictConfig:
    """A composition with that file, and with others that are not asked about."""
    return with_row(next(row for row in ROWS if override(group, name) in row))


@pytest.mark.parametrize("overrides", ROWS, ids=" ".join)
def test_every_file_is_composed_and_resolves(overrides: tuple[str, ...]) -> None:
    resolved = OmegaConf.to_container(with_row(overrides), resolve=True, throw_on_missing=True)
    assert isinstance(resolved, dict)


def _targets(node: object) -> list[dict[str, object]]:
    """Every node with a ``_target_`` of this package, at any depth."""
    if isinstance(node, list):
        return [target for child in node for target in _targets(child)]
    if not isinstance(node, dict):
        return []
    own = [node] if str(node.get("_target_", "")).startswith("nave.") else []
    return own + [target for child in node.values() for target in _targets(child)]


@pytest.mark.parametrize("path", sorted(CONF.rglob("*.yaml")), ids=lambda path: path.relative_to(CONF).as_posix())
def test_a_default_is_declared_once(path: Path) -> None:
    for node in _targets(yaml.safe_load(path.read_text(encoding="utf-8"))):
        parameters = inspect.signature(get_method(str(node["_target_"]))).parameters
        declared = {key for key, value in node.items() if not str(value).startswith("${") and value is not None}
        no_default = (inspect.Parameter.empty, None)  # None: an option that a file may leave out
        twice = [key for key in declared & parameters.keys() if parameters[key].default not in no_default]
        assert not twice, f"{path.relative_to(CONF)} and {node['_target_']} both declare {twice}"


@pytest.mark.parametrize("name", choices("model"))
def test_every_model_is_built(name: str) -> None:
    cfg = with_choice("model", name)
    cfg.architecture = "test_vit" if name == "timm" else None
    with torch.device("meta"):
        encoder = instantiate(cfg.model, layers=cfg.layers)
    assert isinstance(encoder, Encoder)
    assert encoder.name == (cfg.architecture or name)
    assert all(parameter.is_meta for parameter in encoder.network.parameters())


@pytest.mark.parametrize("name", choices("data"))
def test_every_data_set_is_built_or_says_what_is_missing(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NAVE_DATA", str(tmp_path))
    cfg = with_choice("data", name)
    if name in (included := {"sample": 8, "shapes": 500}):
        assert len(instantiate(cfg.data)) == included[name]
        return
    with pytest.raises(MissingDatasetError):
        len(instantiate(cfg.data))


@pytest.mark.parametrize(
    ("group", "name"),
    [(group, name) for group in ("composite", "clustering", "localization") for name in choices(group)],
)
def test_every_composite_engine_and_localizer_is_built(group: str, name: str) -> None:
    assert callable(instantiate(with_choice(group, name)[group]))


@pytest.mark.parametrize("name", choices("logger"))
def test_every_logger_is_built(name: str) -> None:
    assert list(build_loggers(with_choice("logger", name).logger)) == [name]


@pytest.mark.filterwarnings("ignore:The `srun` command is available")  # where there is a SLURM
def test_the_loader_and_the_trainer_are_built() -> None:
    cfg = composed("config", "trainer.accelerator=cpu")
    assert instantiate(cfg.loader, dataset=instantiate(cfg.data), skip=()).count == 8
    assert instantiate(cfg.trainer).world_size == 1


@pytest.mark.parametrize("name", choices("experiment"))
def test_every_experiment_has_its_header_and_gives_way_to_the_command_line(name: str) -> None:
    if name == "search":
        pytest.importorskip("hydra_plugins.hydra_optuna_sweeper")
    cfg = composed("config", f"experiment={name}", "k=4")
    assert cfg.name != "nave"
    assert cfg.k == 4
    text = (CONF / "experiment" / f"{name}.yaml").read_text()
    assert text.startswith("# @package _global_\n")
    for line in HEADER:
        assert line in text, f"{name} has no line {line}"
    assert f"experiment={name}" in text


def test_experiments_lie_flat() -> None:
    assert not [path for path in (CONF / "experiment").iterdir() if path.is_dir()]


def test_an_experiment_beats_the_defaults() -> None:
    assert composed("config", "experiment=localization_voc07").model.name == "vits16"


def test_the_slurm_launcher_follows_the_trainer() -> None:
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher")
    overrides = ["hydra/launcher=slurm", "trainer.devices=4", "trainer.num_nodes=2"]
    launcher = composed("config", *overrides, with_hydra=True).hydra.launcher
    assert (launcher.tasks_per_node, launcher.nodes) == (4, 2)
    assert launcher.additional_parameters.requeue is True


def test_the_local_launcher_runs_as_many_jobs_as_asked_for() -> None:
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
    launcher = composed("config", "hydra/launcher=local", "hydra.launcher.n_jobs=3", with_hydra=True).hydra.launcher
    assert (launcher.n_jobs, launcher.batch_size) == (3, "1")


STRAY = ["nonsense=1", "trainer.nonsense=1", "model.nonsense=1", "evaluation.nonsense=1", "composite.nonsense=1"]


@pytest.mark.parametrize("key", STRAY)
def test_stray_keys_are_refused(key: str) -> None:
    with pytest.raises(ConfigCompositionException, match="nonsense"):
        composed("config", key)


@pytest.mark.parametrize("content", ["nonsense: 1\n", "evaluation:\n  nonsense: 1\n"])
def test_stray_keys_of_an_experiment_file_are_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "stray.yaml").write_text(f"# @package _global_\n{content}")
    with pytest.raises(ConfigCompositionException, match="nonsense"):
        composed("config", f"hydra.searchpath=[file://{tmp_path}]", "experiment=stray")


def test_several_loggers_share_their_options() -> None:
    names = choices("logger")
    cfg = composed("config", f"logger=[{','.join(names)}]", "logger.images=3")
    assert set(names) <= set(cfg.logger)
    assert cfg.logger.wandb.images == cfg.logger.tensorboard.images == 3
    assert not composed("config").logger
