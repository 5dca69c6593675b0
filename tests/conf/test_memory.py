"""Compositions from memory are those of Hydra."""

import pytest
from omegaconf import DictConfig, OmegaConf

from tests.helpers.compositions import composed
from tests.helpers.hydra_memory import without_memory

LINES = (
    ["k=7", "data=sample"],
    ["model=vits14", "data=voc07", "data.root=nowhere", "+data.further={a: 1}", "hydra.run.dir='a=b'"],
    ["k=3", "model=vits14", "data=voc07", "data.root=elsewhere", "~localization.border", "logger=[csv]"],
    ["hydra/launcher=local", "hydra.launcher.n_jobs=3", "logger=[]"],
)


@pytest.mark.parametrize("overrides", LINES, ids=" ".join)
def test_equal_those_of_hydra_before_and_after_a_change(overrides):
    with without_memory():
        expected = _everything(composed("config", *overrides, with_hydra=True))
    first = composed("config", *overrides, with_hydra=True)
    assert _everything(first) == expected
    first.seed, first.hydra.job.name = 12345, "changed"
    assert _everything(composed("config", *overrides, with_hydra=True)) == expected


def _everything(cfg: DictConfig) -> object:
    return OmegaConf.to_container(cfg, resolve=False), cfg._get_flag("struct"), cfg.hydra._get_flag("readonly")
