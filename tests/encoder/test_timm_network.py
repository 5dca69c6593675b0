"""Any network of timm by its name: sizes, schemes and options as timm has them, values as ``forward_intermediates``."""

import json

import pytest
import timm
import torch

from nave.encoder.timm_network import UnknownArchitectureError, describe, one_size, timm_encoder
from nave.weights import hub
from nave.weights.file import WeightsError
from tests.helpers.families import FURTHER, SMALLEST
from tests.helpers.timm_table import compared, outcomes, table, untrained

QUICK = ("test_vit", "test_coatnet")  # of any size, of one
CURED = {"mvitv2_tiny": "cured"}  # at 240 x 320: looks up positions beyond its table, unnoticed on the meta device


def networks():
    every = dict.fromkeys([*QUICK, *SMALLEST.values(), *FURTHER])
    return [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in every]


@pytest.mark.parametrize("architecture", networks())
@pytest.mark.filterwarnings("ignore:.*")  # timm's and torch's own
def test_every_layer_is_what_timm_computes(architecture):
    found = outcomes(architecture)
    fixed = describe(architecture).image_size is not None
    other = "resized" if fixed else "right"
    kinds = {size: outcome.partition(":")[0] for size, outcome in found.items()}
    assert kinds == {"own": "right", "224x224": other, "240x320": CURED.get(architecture, other)}, found


def test_the_check_sees_what_is_wrong():
    encoder = untrained("test_resnet")
    encoder.network.layer2.register_forward_hook(lambda _m, _i, output: 1.001 * output)
    assert compared(encoder, (160, 160)).startswith("wrong: layer2 off by 1.0e-03 of its largest value; layer3 off")
    encoder.select_layers([-1])
    assert compared(encoder, (64, 64)) == "wrong: 1 layers of 5"
    encoder.layers = ["nothing"]
    assert compared(encoder, (64, 64)).startswith("traceback: AttributeError: ResNet has no attribute `nothing`")


def test_the_table_counts_and_lists():
    lines = list(
        table({"one": ["right"] * 3, "two": ["right", "resized", "resized"], "three": ["right", "cured: b", "right"]})
    )
    assert lines[2:4] == ["| own | 3 | 0 | 0 | 0 | 0 |", "| 224x224 | 1 | 1 | 1 | 0 | 0 |"]
    assert lines[-2:] == ["\nResized: two.\n", "- three: cured: b"]


def test_every_module_of_timm_has_a_network_here():
    """A new release of timm may bring new ones: give each its smallest network."""
    modules = {timm.models.model_entrypoint(name).__module__.rpartition(".")[2] for name in timm.list_models()}
    assert modules == SMALLEST.keys()


def test_options_lift_the_size_where_timm_can():
    assert describe("test_vit").options == {"dynamic_img_size": True}
    assert describe("swin_tiny_patch4_window7_224").options == {"strict_img_size": False}
    assert describe("test_resnet").options == {}
    assert [one_size(name) for name in ("test_vit", "test_resnet", "test_coatnet", None)] == [None, None, 160, None]


def test_a_network_of_one_size_refuses_others():
    with pytest.raises(
        ValueError,
        match=r"model=timm architecture=test_coatnet takes images of 160 x 160 only, not 240 x 320: set image",
    ):
        untrained("test_coatnet")(torch.zeros(1, 3, 240, 320, dtype=torch.uint8))


def test_tags_are_training_schemes():
    schemes = describe("resnet50").schemes
    assert (schemes["default"], schemes["tv_in1k"], schemes["random"]) == ("a1_in1k", "resnet50.tv_in1k", "random")
    assert describe("resnet50.tv_in1k").schemes["default"] == "tv_in1k"
    assert describe("gmlp_ti16_224").schemes == {"default": "random", "random": "random"}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("resnet5", r"timm [\d.]+ has no network 'resnet5'\. Did you mean resnet50"),
        ("resnet50.mine", r"has no weights resnet50\.mine; its tags are: a1_in1k, a1h_in1k"),
        ("tv_resnet34", r"has no network 'tv_resnet34'\. Did you mean resnet34"),
        ("####", r"has no network '####'\. timm\.list_models"),
        (None, "model=timm needs architecture=NAME"),
    ],
)
def test_an_unknown_network_has_close_names(name, message):
    with pytest.raises(UnknownArchitectureError, match=message):
        describe(name)


def test_an_unknown_scheme_lists_the_tags():
    with pytest.raises(WeightsError, match=r"has no training=dino; it has default, r160_in1k, random"):
        timm_encoder("test_vit", "test_vit", [-1], training="dino")


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """The hub's cache with one network, as timm pushes it: config.json and the weights."""
    folder = tmp_path / "models--me--tiny"
    snapshot = folder / "snapshots" / "0123abcd"
    snapshot.mkdir(parents=True)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text("0123abcd")
    config = {"architecture": "test_vit", "pretrained_cfg": {"mean": [0.1, 0.2, 0.3], "std": [0.4, 0.5, 0.6]}}
    (snapshot / "config.json").write_text(json.dumps(config))
    network = timm.create_model("test_vit")
    torch.save(network.state_dict(), snapshot / "pytorch_model.bin")
    monkeypatch.setattr(hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(hub, "try_to_load_from_cache", _from(tmp_path))
    describe.cache_clear()
    return network


def _from(folder):
    return lambda repository, name: hub_cache(repository, name, cache_dir=folder)


hub_cache = hub.try_to_load_from_cache


def test_a_repository_of_the_hub_is_a_network_with_one_scheme(repository):
    encoder = timm_encoder("mine", "hf-hub:me/tiny", [-1])
    assert encoder.checkpoint.training == "tiny"
    assert encoder.checkpoint.source == "hub me/tiny@0123abcd"
    assert encoder.checkpoint.mean == (0.1, 0.2, 0.3)
    given = {name: tensor for name, tensor in repository.state_dict().items() if not name.startswith("head")}
    torch.testing.assert_close(dict(encoder.network.state_dict()), given, rtol=0, atol=0)
    assert describe("hf-hub:me/tiny").image_size is None
