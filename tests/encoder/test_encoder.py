"""The encoder against timm's own ``forward_intermediates``, for every family of architectures."""

import shutil
from functools import cache

import pytest
import torch

from nave.encoder.encoder import Encoder, compile_layer_modules
from nave.encoder.hooks import UnknownLayerError, feature_info, layer_modules
from nave.runs.provenance import of_encoder
from nave.weights.file import WeightsError
from tests.helpers.parts import UNTRAINED
from tests.helpers.running import into, nave_run, photographs, record

FAMILIES = {
    "vit": ("test_vit", {"dynamic_img_size": True}),
    "vit_registers": (
        "vit_small_patch14_reg4_dinov2",
        {"dynamic_img_size": True, "embed_dim": 48, "depth": 3, "num_heads": 3},
    ),
    "resnet": ("test_resnet", {}),
    "efficientnet": ("test_efficientnet", {}),
    "convnext": ("test_convnext", {}),
    "swin": (
        "swin_tiny_patch4_window7_224",
        {"strict_img_size": False, "embed_dim": 24, "depths": [2, 1, 1, 1], "num_heads": [1, 2, 2, 2]},
    ),
    "mixer": ("mixer_s32_224", {}),
}
SIZES = {"square": (224, 224), "wide": (150, 215), "tall": (257, 193)}
CASES = [(family, size) for family in FAMILIES for size in SIZES if family != "mixer" or size == "square"]


@cache
def encoder(family, layers=(0, -1)):
    architecture, options = FAMILIES[family]
    size = 224 if family == "mixer" else None
    return Encoder(family, architecture, layers, UNTRAINED, options=options, image_size=size)


def pictures(size, count=2):
    torch.manual_seed(1)
    return torch.randint(0, 256, (count, 3, *size), dtype=torch.uint8)


def every_layer(family):
    return encoder(family, tuple(range(len(layer_modules(encoder(family).network)))))


def intermediates(encoder, images):
    """timm's, for images that are scaled and padded one by one, by hand."""
    height, width = (-(-side // encoder.stride) * encoder.stride for side in images.shape[2:])
    inputs = torch.zeros(len(images), 3, height, width)
    for image, target in zip(images, inputs, strict=True):
        for channel, (mean, std) in enumerate(zip(encoder.checkpoint.mean, encoder.checkpoint.std, strict=True)):
            target[channel, : image.shape[1], : image.shape[2]] = (image[channel] / 255 - mean) / std
    with torch.no_grad():
        return encoder.network.forward_intermediates(inputs, intermediates_only=True)


@pytest.mark.parametrize(("family", "size"), CASES)
def test_grids_equal_timms_intermediates(family, size):
    model, images = every_layer(family), pictures(SIZES[size])
    expected = intermediates(model, images)
    grids = model(images).grids
    assert list(grids) == layer_modules(model.network)
    for grid, reference in zip(grids.values(), expected, strict=True):
        torch.testing.assert_close(grid, reference)


@pytest.mark.parametrize("family", FAMILIES)
def test_negative_indices_and_names_are_the_same_layers(family):
    images = pictures((224, 224), 1)
    last = layer_modules(encoder(family).network)[-1]
    by_index, by_name = encoder(family, (-1,))(images).grids, encoder(family, (last,))(images).grids
    assert list(by_index) == list(by_name) == [last]
    torch.testing.assert_close(by_index[last], by_name[last], rtol=0, atol=0)
    torch.testing.assert_close(by_index[last], every_layer(family)(images).last, rtol=0, atol=0)


def test_layers_come_in_the_order_asked_for():
    assert list(encoder("vit", (-1, 0, "blocks.2"))(pictures((32, 32))).grids) == ["blocks.5", "blocks.0", "blocks.2"]


@pytest.mark.parametrize("family", FAMILIES)
def test_a_points_pixels_are_its_layers_reduction(family):
    model, images = every_layer(family), pictures((224, 224), 1)
    sides = [224 // stage["reduction"] for stage in feature_info(model.network)]
    assert [grid.shape[2:] for grid in model(images).grids.values()] == [(side, side) for side in sides]


def test_the_patches_of_a_vit_are_a_grid_too():
    model, images = encoder("vit", ("patch_embed", "patch_embed.proj")), pictures((80, 100))
    grids = model(images).grids
    torch.testing.assert_close(grids["patch_embed"], grids["patch_embed.proj"])


@pytest.mark.parametrize(
    ("family", "size", "padded"),
    [
        ("vit", (150, 215), (160, 224)),
        ("vit", (1, 1), (16, 16)),
        ("vit_registers", (375, 500), (378, 504)),
        ("vit_registers", (378, 504), (378, 504)),
        ("resnet", (33, 64), (64, 64)),
        ("swin", (225, 1), (256, 32)),
    ],
)
def test_sizes_are_padded_to_the_stride(family, size, padded):
    assert encoder(family).padded(size) == padded


@pytest.mark.parametrize("family", [family for family in FAMILIES if family != "mixer"])
def test_the_smallest_image_passes(family):
    assert [grid.shape[0] for grid in encoder(family)(pictures((1, 1), 1)).grids.values()] == [1, 1]


def test_a_network_of_one_size_says_which():
    message = "model=mixer takes images of 224 x 224 only, not 224 x 200: set image_size=224"
    with pytest.raises(ValueError, match=message):
        encoder("mixer")(pictures((224, 200)))


def test_the_network_is_frozen():
    model = encoder("resnet")
    assert not any(module.training for module in model.network.modules())
    assert not any(parameter.requires_grad for parameter in model.parameters())
    before = {name: tensor.clone() for name, tensor in model.network.state_dict().items()}
    model(pictures((64, 64)))
    torch.testing.assert_close(dict(model.network.state_dict()), before, rtol=0, atol=0)


def test_the_seed_draws_random_weights_and_nothing_else():
    state = torch.random.get_rng_state()
    first, same, other = (
        Encoder("vit", "test_vit", [-1], UNTRAINED, seed=seed).network.blocks[0].attn.qkv.weight for seed in (3, 3, 4)
    )
    assert torch.equal(first, same)
    assert not torch.equal(first, other)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_an_images_grids_hardly_depend_on_its_batch():
    images = pictures((64, 80), 3)
    together, alone = encoder("resnet")(images).grids, encoder("resnet")(images[1:2]).grids
    for name, grid in alone.items():
        torch.testing.assert_close(together[name][1:2], grid, rtol=1e-4, atol=1e-4)


def test_a_layer_of_the_head_is_refused():
    with pytest.raises(UnknownLayerError, match=r"VisionTransformer computes its features without head;"):
        encoder("vit", ("head",))(pictures((32, 32)))


def test_attention_is_no_feature_map():
    model = encoder("vit", ("blocks.0.attn.q_norm",))
    with pytest.raises(
        UnknownLayerError, match=r"layer 'blocks\.0\.attn\.q_norm' returns .* no feature map on a 2 x 3"
    ):
        model(pictures((32, 48)))


def test_an_unknown_layer_is_refused_before_any_image():
    with pytest.raises(UnknownLayerError, match=r"has no layer 'block\.1'\. Did you mean blocks\.1"):
        Encoder("vit", "test_vit", ["block.1"], UNTRAINED)


def test_an_unknown_scheme_lists_the_choices():
    with pytest.raises(WeightsError, match="model=vit has no training=dino; it has default, random"):
        Encoder("vit", "test_vit", [-1], UNTRAINED, training="dino")


def test_a_weights_file_replaces_the_scheme(tmp_path):
    torch.manual_seed(5)
    given = encoder("vit").network.state_dict()
    other = {name: torch.randn_like(tensor) for name, tensor in given.items()}
    torch.save(other, tmp_path / "mine.pth")
    model = Encoder("vit", "test_vit", [-1], UNTRAINED, weights=tmp_path / "mine.pth")
    torch.testing.assert_close(dict(model.network.state_dict()), other, rtol=0, atol=0)
    assert model.checkpoint.source == "file mine.pth"


def new_vit(layers):
    """A network of its own, which compilation may change."""
    return Encoder("tiny", "test_vit", layers, UNTRAINED, options={"dynamic_img_size": True})


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="no C++ compiler")
@pytest.mark.filterwarnings("ignore")  # torch's own, while it compiles
def test_compiled_blocks_compute_the_same_up_to_rounding():
    layers, images = ["blocks.0", "blocks.3.mlp"], pictures((48, 64))
    expected, compiled = new_vit(layers)(images), new_vit(layers)

    compile_layer_modules(compiled.network, compiled.layers)

    for _ in range(2):
        grids = compiled(images).grids
        for name, grid in expected.grids.items():
            torch.testing.assert_close(grids[name], grid, atol=1e-4, rtol=1e-4)


def test_a_block_with_a_hook_inside_is_not_compiled():
    network = new_vit([-1]).network
    names = compile_layer_modules(network, ["blocks.1.mlp", "blocks.0"])
    assert "blocks.1" not in names
    assert "blocks.0" in names


def test_compilation_keeps_the_names_of_weights():
    network = new_vit([-1]).network
    before = list(network.state_dict())
    compile_layer_modules(network, [])
    assert list(network.state_dict()) == before


def test_without_a_compiler_the_error_names_the_cure(tmp_path, monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    assert nave_run(*photographs(tmp_path / "data", 1), into(tmp_path / "out"), "compile=true") == 1
    assert "no 'no-such-compiler' here: install g++" in record(tmp_path / "out")["error"]


@pytest.mark.parametrize(
    ("architecture", "size"),
    [
        *(("vit_tiny_patch16_224", 224), ("swin_tiny_patch4_window7_224", 224), ("levit_128s", 224)),
        *(("resmlp_12_224", 224), ("halonet26t", 256), ("tnt_s_legacy_patch16_224", 224)),
    ],
)
def test_a_network_of_one_size_names_image_size(architecture, size):
    """Some check the size in their embedding, others fail in the middle."""
    model = Encoder("fixed", architecture, (-1,), UNTRAINED)
    message = rf"model=fixed takes images of {size} x {size} only, not 128 x 96: set image_size={size}"
    with pytest.raises(ValueError, match=message):
        model(pictures((128, 96), 1))


def test_a_network_that_always_fails_does_not_blame_the_size(monkeypatch):
    model = Encoder("vit", "test_vit", (-1,), UNTRAINED, options={"dynamic_img_size": True})

    def fail(*_):
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    monkeypatch.setattr(model.reader.network, "forward_features", fail)
    with pytest.raises(RuntimeError, match=r"^CUDA error"):
        model(pictures((128, 96), 1))


FIXED = {"dynamic_img_size": False}


def test_a_network_of_one_size_takes_what_is_padded_to_it():
    grids = Encoder("fixed", "test_vit", (-1,), UNTRAINED, options=FIXED)(pictures((150, 160), 1)).grids
    assert [grid.shape[2:] for grid in grids.values()] == [(10, 10)]


def test_the_one_size_may_be_an_option():
    model = Encoder("fixed", "test_vit", (-1,), UNTRAINED, options={**FIXED, "img_size": 96})
    assert model.padded((90, 96)) == (96, 96)
    with pytest.raises(ValueError, match="set image_size=96"):
        model.padded((160, 160))


def test_resampled_positions_are_on_record(tmp_path):
    torch.save(encoder("vit").network.state_dict(), tmp_path / "large.pth")
    model = Encoder("small", "test_vit", (-1,), UNTRAINED, options={"img_size": 96}, weights=tmp_path / "large.pth")
    assert of_encoder(model)["resampled"] == {"pos_embed": ([1, 101, 64], [1, 37, 64])}
    assert of_encoder(encoder("vit"))["resampled"] == {}
