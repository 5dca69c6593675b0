"""Any network of timm by its name: sizes, schemes and options as timm has them, values as ``forward_intermediates``."""

import json

import pytest
import timm
import torch

from nave.encoder.hooks import layer_modules
from nave.encoder.timm_network import UnknownArchitectureError, describe, one_size, timm_encoder
from nave.weights import hub
from nave.weights.file import WeightsError
from tests.helpers.families import FURTHER, SMALLEST

QUICK = (
    "test_vit",
    "test_coatnet",
    "pit_ti_224",
    "coat_tiny",
    "crossvit_tiny_240",
)  # of any size, of one, tuples, lists
SHRUNK = {"deepseek_vit_412m": {"depth": 2}}  # 1.6 GB
CURED = {"mvitv2_tiny"}  # looks up positions beyond its table at other sizes, which the meta device does not notice
LARGEST = 512  # side of the own size; larger ones are cut to it where any size is taken
SIZES = {"own": None, "square": (224, 224), "wide": (240, 320)}


def networks():
    every = dict.fromkeys([*QUICK, *SMALLEST.values(), *FURTHER])
    return [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in every]


def untrained(architecture, **options):
    size = describe(architecture).image_size
    options = {**SHRUNK.get(architecture, {}), **options}
    return timm_encoder(
        architecture, architecture, [-1], training="random", options=options, image_size=size and list(size)
    )


def sizes(encoder):
    """What the loader resizes images to if the network takes one size only, else SIZES."""
    if encoder.only_size is not None:
        return {encoder.only_size}
    own = encoder.network.pretrained_cfg["input_size"][1:]
    return {size or tuple(min(side, LARGEST) for side in own) for size in SIZES.values()}


@pytest.mark.parametrize("architecture", networks())
@pytest.mark.filterwarnings("ignore:.*")  # timm's and torch's own
def test_every_layer_is_what_timm_computes(architecture):
    encoder = untrained(architecture)
    encoder.select_layers(range(len(layer_modules(encoder.network))))
    for size in sizes(encoder) if architecture not in CURED else [(224, 224)]:
        torch.manual_seed(1)
        images = torch.randint(0, 256, (1, 3, *size), dtype=torch.uint8)
        grids = encoder(images).grids
        with torch.inference_mode():
            expected = encoder.network.forward_intermediates(encoder.pixels(images), intermediates_only=True)
        assert len(grids) == len(expected)
        for grid, reference in zip(grids.values(), expected, strict=True):
            assert grid.isfinite().all()
            torch.testing.assert_close(grid, reference, rtol=1e-4, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("architecture", sorted(CURED))
def test_what_fails_at_other_sizes_says_its_own(architecture):
    with pytest.raises(ValueError, match="takes images of 224 x 224 only, not 240 x 320: set image_size=224"):
        untrained(architecture)(torch.zeros(1, 3, 240, 320, dtype=torch.uint8))


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
        ValueError, match=r"model=test_coatnet takes images of 160 x 160 only, not 240 x 320: set image"
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
        ("resnet5", r"timm [\d.]+ has no network 'resnet5': did you mean resnet50"),
        ("resnet50.mine", r"has no weights resnet50\.mine; its tags are: a1_in1k, a1h_in1k"),
        ("tv_resnet34", r"has no network 'tv_resnet34': did you mean resnet34"),
        ("####", r"has no network '####': timm\.list_models"),
        (None, "model=timm needs architecture=NAME"),
    ],
)
def test_an_unknown_network_has_close_names(name, message):
    with pytest.raises(UnknownArchitectureError, match=message):
        describe(name)


def test_an_unknown_scheme_lists_the_tags():
    with pytest.raises(WeightsError, match=r"has no training='dino'; it has: default, r160_in1k, random"):
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
