from collections.abc import Mapping

import pytest
import timm
import torch
from torch import Tensor, nn

from nave.weights.file import WeightsError
from nave.weights.loading import Resampled, load_best
from nave.weights.tensor_sets import TensorSet


def load_state_dict(model: nn.Module, state_dict: Mapping[str, Tensor], source: str) -> Resampled:
    return load_best(model, [TensorSet((), state_dict)], source)[1]


def _network(name: str, seed: int = 0, **options: object) -> nn.Module:
    torch.manual_seed(seed)
    return timm.create_model(name, **options)


@pytest.mark.parametrize("name", ["test_vit", "test_convnext", "test_resnet", "test_efficientnet"])
def test_a_full_state_fits_a_headless_model(name: str) -> None:
    given = _network(name, seed=1).state_dict()
    network = _network(name, num_classes=0)
    load_state_dict(network, given, "test")
    for key, tensor in network.state_dict().items():
        torch.testing.assert_close(tensor, given[key], rtol=0, atol=0)


def test_a_headless_state_fits_a_full_model() -> None:
    network = _network("test_vit")
    load_state_dict(network, _network("test_vit", seed=1, num_classes=0).state_dict(), "test")


def test_a_head_of_another_width_is_left_out() -> None:
    network = _network("test_resnet", num_classes=7)
    load_state_dict(network, _network("test_resnet", seed=1, num_classes=10).state_dict(), "test")


def test_batch_counters_may_be_missing() -> None:
    given = {n: t for n, t in _network("test_resnet").state_dict().items() if "num_batches" not in n}
    load_state_dict(_network("test_resnet", num_classes=0), given, "test")


def test_positions_of_another_grid_are_resampled_as_timm_does() -> None:
    given = _network("test_vit", seed=1, img_size=160).state_dict()
    network = _network("test_vit", num_classes=0, img_size=96)
    load_state_dict(network, given, "test")
    expected = timm.create_model(
        "test_vit", pretrained=True, pretrained_cfg_overlay={"state_dict": given}, num_classes=0, img_size=96
    )
    torch.testing.assert_close(network.state_dict(), expected.state_dict(), rtol=0, atol=0)


def test_original_names_are_converted_as_timm_does() -> None:
    """ConvNeXt's first release calls its stem downsample_layers.0 and its blocks stages.0.0."""
    network = _network("test_convnext", num_classes=0)
    expected = _network("test_convnext", seed=1).state_dict()
    load_state_dict(network, {_first_release(name): tensor for name, tensor in expected.items()}, "test")
    torch.testing.assert_close(network.state_dict()["stem.0.weight"], expected["stem.0.weight"])


def _first_release(name: str) -> str:
    for timm_name, original in [("stem.", "downsample_layers.0."), (".blocks.", "."), ("head.norm.", "norm.")]:
        name = name.replace(timm_name, original)
    for stage in range(4):
        name = name.replace(f"stages.{stage}.downsample.", f"downsample_layers.{stage}.")
    return name.replace("conv_dw", "dwconv").replace("mlp.fc", "pwconv").replace("head.fc.", "head.")


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("test_vit", "test_resnet"),
        ("test_resnet", "test_vit"),
        ("test_convnext", "test_efficientnet"),
        ("test_vit", "test_convnext"),
    ],
)
def test_another_network_is_refused_and_the_model_unchanged(source: str, target: str) -> None:
    network = _network(target, num_classes=0)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    with pytest.raises(
        WeightsError,
        match=rf"the weights \(file a\.pth\) are not those of {target}: .* \d+ of \d+ tensors of {target}; ",
    ):
        load_state_dict(network, _network(source, seed=1).state_dict(), "file a.pth")
    torch.testing.assert_close(dict(network.state_dict()), before, rtol=0, atol=0)


def test_the_error_shows_the_first_tensors_and_counts() -> None:
    network = _network("test_vit", num_classes=0)
    given = network.state_dict()
    del given["norm.weight"]
    given["extra"] = torch.ones(1)
    given["cls_token"] = torch.ones(1, 1, 3)
    misshaped = r"1 of another shape \(cls_token \(1, 1, 3\) for \(1, 1, 64\)\)"
    with pytest.raises(WeightsError, match=rf"1 missing \(norm\.weight\); 1 unexpected \(extra\); {misshaped}"):
        load_state_dict(network, given, "test")


def test_no_tensors_are_refused() -> None:
    with pytest.raises(WeightsError, match=r"missing \(.*, …\)"):
        load_state_dict(_network("test_vit", num_classes=0), {}, "test")


def test_a_kernel_of_other_patches_is_refused_although_timm_would_resample_it() -> None:
    network = _network("test_vit", num_classes=0)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    given = _network("test_vit", seed=1, patch_size=8, img_size=80).state_dict()
    shapes = r"patch_embed\.proj\.weight \(64, 3, 8, 8\) for \(64, 3, 16, 16\)"
    with pytest.raises(
        WeightsError,
        match=rf"not those of test_vit: the file fits 77 of 78 tensors of test_vit; 1 of another shape \({shapes}\)",
    ):
        load_state_dict(network, given, "file small.pth")
    torch.testing.assert_close(dict(network.state_dict()), before, rtol=0, atol=0)


def test_a_kernel_under_a_name_of_the_original_release_is_refused_too() -> None:
    """OpenCLIP's towers have a prefix, which timm's filter removes."""
    network = _network("test_vit", num_classes=0)
    given = _network("test_vit", seed=1, patch_size=8, img_size=80).state_dict()
    prefixed = {f"visual.trunk.{name}": tensor for name, tensor in given.items() if not name.startswith("head.")}
    with pytest.raises(WeightsError, match=r"\(64, 3, 8, 8\) for \(64, 3, 16, 16\)"):
        load_state_dict(network, prefixed, "test")


@pytest.mark.parametrize("name", ["test_vit", "test_resnet", "test_convnext"])
def test_kernels_of_another_number_of_channels_are_refused(name: str) -> None:
    given = _network(name, seed=1, in_chans=1).state_dict()
    with pytest.raises(WeightsError, match=r"1 of another shape \(\S+ \(\d+, 1, (\d+), \1\) for \(\d+, 3, \1, \1\)\)"):
        load_state_dict(_network(name, num_classes=0), given, "test")


def test_resampled_positions_are_returned_with_both_shapes() -> None:
    given = _network("test_vit", seed=1, img_size=160).state_dict()
    network = _network("test_vit", num_classes=0, img_size=96)
    assert load_state_dict(network, given, "test") == {"pos_embed": ([1, 101, 64], [1, 37, 64])}
    assert load_state_dict(network, network.state_dict(), "test") == {}


@pytest.mark.filterwarnings("ignore:torch.searchsorted", "ignore:Using a non-tuple sequence")  # timm's
def test_resampled_tables_of_relative_positions_are_returned() -> None:
    options = {"embed_dim": 24, "depths": [1, 1], "num_heads": [1, 2], "num_classes": 0}
    swin = "swin_tiny_patch4_window7_224"
    given = _network(swin, seed=1, window_size=5, img_size=160, **options).state_dict()
    resampled = load_state_dict(_network(swin, **options), given, "test")
    table = "attn.relative_position_bias_table"
    assert resampled == {
        f"layers.0.blocks.0.{table}": ([81, 1], [169, 1]),
        f"layers.1.blocks.0.{table}": ([81, 2], [169, 2]),
    }


@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), -float("inf")])
def test_a_number_that_is_none_is_refused_and_the_model_unchanged(wrong: float) -> None:
    network = _network("test_resnet", num_classes=0)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    given = _network("test_resnet", seed=1).state_dict()
    given["layer1.0.conv1.weight"][0, 0, 0, 0] = wrong
    named = r"the weights \(file a\.pth\) hold NaN or infinite numbers in 1 of \d+ tensors \(layer1\.0\.conv1\.weight\)"
    with pytest.raises(WeightsError, match=named):
        load_state_dict(network, given, "file a.pth")
    torch.testing.assert_close(dict(network.state_dict()), before, rtol=0, atol=0)


def test_a_number_beyond_the_networks_precision_is_refused() -> None:
    given = {name: tensor.double() for name, tensor in _network("test_vit").state_dict().items()}
    given["norm.bias"][3] = 1e300
    with pytest.raises(WeightsError, match=r"NaN or infinite numbers in 1 of \d+ tensors \(norm\.bias\)"):
        load_state_dict(_network("test_vit", num_classes=0), given, "test")
