"""Layers by index and by name, hooks that never stay, and every shape that a layer may have."""

import pytest
import timm
import torch
from torch import nn

from nave.encoder.hooks import (
    Activations,
    NonFiniteError,
    UnknownLayerError,
    as_grid,
    capture_activations,
    check_finite,
    layer_modules,
    layer_names,
)


@pytest.fixture(scope="module")
def vit():
    torch.manual_seed(0)
    return timm.create_model("test_vit", num_classes=0).eval()


@pytest.fixture(scope="module")
def resnet():
    torch.manual_seed(0)
    return timm.create_model("test_resnet", num_classes=0).eval()


def hooks(network):
    return sum(len(module._forward_hooks) for module in network.modules())


def test_indices_count_as_timm_counts(vit, resnet):
    assert layer_names(vit, [0, -1, 2]) == ["blocks.0", "blocks.5", "blocks.2"]
    assert layer_names(resnet, [-5, 4]) == ["act1", "layer4"]


def test_names_are_any_modules(vit):
    assert layer_names(vit, ["blocks.1.mlp.fc1", -1]) == ["blocks.1.mlp.fc1", "blocks.5"]


@pytest.mark.parametrize("index", [6, -7])
def test_an_index_out_of_range_lists_the_layers(vit, index):
    message = f"layer {index} is out of range: VisionTransformer has 6 layers, -6 to 5: blocks.0, blocks.1"
    with pytest.raises(UnknownLayerError, match=message):
        layer_names(vit, [index])


def test_an_unknown_name_lists_close_names(vit):
    with pytest.raises(UnknownLayerError, match=r"has no layer 'block\.3'\. Did you mean blocks\.3"):
        layer_names(vit, ["block.3"])


def test_a_name_like_none_lists_the_layers(vit):
    with pytest.raises(UnknownLayerError, match=r"has no layer '###'\. Layers by index 0 to .*: blocks\.0, blocks\.1"):
        layer_names(vit, ["###"])


@pytest.mark.parametrize("layers", [[-1, 5], [0, "blocks.0"]])
def test_a_layer_named_twice_is_refused(vit, layers):
    with pytest.raises(UnknownLayerError, match=r"names blocks\.\d more than once"):
        layer_names(vit, layers)


def test_no_layers_are_refused(vit):
    with pytest.raises(UnknownLayerError, match="layers is empty; choose from"):
        layer_names(vit, [])


def test_hooks_are_removed_after_the_pass(vit):
    with capture_activations(vit, layer_modules(vit)) as outputs:
        assert hooks(vit) == 6
        vit.forward_features(torch.zeros(1, 3, 160, 160))
    assert hooks(vit) == 0
    assert list(outputs) == layer_modules(vit)


def test_hooks_are_removed_after_an_exception(vit):
    with pytest.raises(AssertionError, match="Input height"), capture_activations(vit, layer_modules(vit)):
        vit.forward_features(torch.zeros(1, 3, 99, 160))
    assert hooks(vit) == 0


def test_hooks_are_removed_when_a_module_is_missing(vit):
    with pytest.raises(AttributeError, match="nothing"), capture_activations(vit, ["blocks.0", "nothing"]):
        pass
    assert hooks(vit) == 0


def test_a_module_beside_the_features_is_named(vit):
    with (
        pytest.raises(UnknownLayerError, match=r"without head; choose from blocks\.0"),
        capture_activations(vit, ["head"]),
    ):
        vit.forward_features(torch.zeros(1, 3, 160, 160))
    assert hooks(vit) == 0


def test_later_in_place_operations_do_not_change_the_captured_output(resnet):
    """The sum with the shortcut and its ReLU overwrite what bn2 has returned."""
    images = torch.randn(2, 3, 64, 64)
    nn.init.ones_(resnet.layer1[0].bn2.weight)
    with capture_activations(resnet, ["layer1.0.bn2"]) as outputs:
        resnet.forward_features(images)
    block = resnet.layer1[0]
    x = resnet.maxpool(resnet.act1(resnet.bn1(resnet.conv1(images))))
    expected = block.bn2(block.conv2(block.act1(block.bn1(block.conv1(x)))))
    assert (expected < 0).any()
    torch.testing.assert_close(outputs["layer1.0.bn2"], expected)


def test_tokens_lose_class_and_registers():
    tokens = torch.arange(2 * 11 * 4.0).view(2, 11, 4)
    grid = as_grid(tokens, "x", (2, 3), 5, False)
    assert grid.shape == (2, 4, 2, 3)
    torch.testing.assert_close(grid[1, 3], tokens[1, 5:, 3].view(2, 3))


def test_tokens_without_prefix_are_kept():
    tokens = torch.randn(1, 6, 4)
    torch.testing.assert_close(as_grid(tokens, "x", (2, 3), 1, False)[0].flatten(1), tokens[0].T)


@pytest.mark.parametrize("channels_last", [False, True])
def test_the_shape_tells_which_axis_holds_the_channels(channels_last):
    maps = torch.randn(2, 7, 8, 12)
    torch.testing.assert_close(as_grid(maps, "x", (2, 3), 0, channels_last), maps)
    torch.testing.assert_close(as_grid(maps.permute(0, 2, 3, 1), "x", (2, 3), 0, channels_last), maps)


def test_where_the_shape_does_not_tell_the_network_does():
    maps = torch.randn(1, 4, 4, 4)
    torch.testing.assert_close(as_grid(maps, "x", (2, 2), 0, False), maps)
    torch.testing.assert_close(as_grid(maps, "x", (2, 2), 0, True), maps.permute(0, 3, 1, 2))


@pytest.mark.parametrize(
    ("output", "kind"),
    [
        (torch.zeros(2, 64), r"\(2, 64\)"),
        (torch.zeros(2, 5, 64), r"\(2, 5, 64\)"),
        (torch.zeros(2, 3, 7, 7), r"\(2, 3, 7, 7\)"),
        ((torch.zeros(1),), "tuple"),
    ],
    ids=["pooled", "other tokens", "attention", "tuple"],
)
def test_outputs_without_feature_map_are_refused(output, kind):
    with pytest.raises(UnknownLayerError, match=f"layer 'x' returns {kind}, which is no feature map on a 2 x 3 grid"):
        as_grid(output, "x", (2, 3), 1, False)


def of_two_layers(size=3):
    grids = {"first": torch.ones(size, 4, 2, 2), "second": torch.ones(size, 8, 1, 1)}
    return Activations(grids, (32, 32), (32, 32))


@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), 1e30])
def test_activations_that_cannot_be_clustered_name_layer_and_image(wrong):
    """1e30 is finite, but its square is not, and distances are squares."""
    activations = of_two_layers()
    activations.grids["second"][1, 5, 0, 0] = wrong
    with pytest.raises(NonFiniteError, match=r"the activations of second are NaN or infinite for cats/b:"):
        check_finite(activations, ["a", "cats/b", "c"])


def test_finite_activations_pass_in_any_precision():
    check_finite(of_two_layers(), ["a", "b", "c"])
    halves = {name: 60_000 * grid.half() for name, grid in of_two_layers().grids.items()}
    check_finite(Activations(halves, (32, 32), (32, 32)), ["a", "b", "c"])
