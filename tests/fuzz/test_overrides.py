"""Configuration overrides: composed, or refused by Hydra with the override in the message, before any work."""

from hydra import compose, initialize_config_module
from hydra.errors import HydraException
from hypothesis import given
from hypothesis import strategies as st
from omegaconf.errors import OmegaConfBaseException

from nave.config import check, numbers_of_clusters, register, resolved
from tests.fuzz.harness import assert_names, expensive

KEYS = st.sampled_from(
    ["k", "seed", "image_size", "layers", "objective", "evaluation.iou", "evaluation.groups", "model", "data", "cache"]
)
VALUES = st.one_of(
    st.integers(-3, 300).map(str),
    st.floats().map(str),
    st.text(max_size=8),
    st.sampled_from(["null", "[2,3]", "[2,2]", "auto", "[]", "{a: 1}", "${seed}", "${oc.env:HOME}", "${no}", "true"]),
)


@given(st.lists(st.tuples(st.sampled_from(["", "+", "~", "++"]), KEYS, VALUES), max_size=2))
@expensive
def test_overrides(overrides: list[tuple[str, str, str]]) -> None:
    register()
    given_ones = [f"{sign}{key}={value}" for sign, key, value in overrides]
    with initialize_config_module("nave.conf", version_base="1.3"):
        try:
            cfg = compose("config", given_ones)
            check(cfg)
            resolved(cfg)
            assert numbers_of_clusters(cfg.k)
        except (HydraException, OmegaConfBaseException):
            return
        except ValueError as error:
            if str(error).startswith("Config group override must be"):  # Hydra's own, for model=0
                return
            assert_names(error, *(key.rpartition(".")[2] for _, key, _ in overrides))
