"""Any module as an encoder: values as of a hook set by hand; the module stays as it was."""

import pytest
import torch
import torchvision
from torch import nn
from torchvision.models.convnext import CNBlockConfig as convnext_block  # noqa: N813

from nave.encoder.hooks import UnknownLayerError
from nave.encoder.module import module_encoder

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def pictures(height, width):
    torch.manual_seed(3)
    return torch.randint(0, 256, (2, 3, height, width), dtype=torch.uint8)


def by_hand(module, layer, pixels):
    """What the layer returns, by a hook of its own."""
    kept = []
    handle = module.get_submodule(layer).register_forward_hook(lambda _m, _i, output: kept.append(output))
    with torch.no_grad():
        module.eval()(pixels)
    handle.remove()
    output = kept[0]
    return output.clone() if isinstance(output, torch.Tensor) else output[0]


def seeded(make):
    torch.manual_seed(0)
    return make()


def swin():
    return torchvision.models.SwinTransformer([4, 4], 16, [1, 1, 2, 1], [1, 1, 2, 2], [7, 7])


def convnext():
    widths = [(16, 24), (24, 32), (32, 48), (48, None)]
    return torchvision.models.ConvNeXt([convnext_block(*width, 1) for width in widths])


def tokens(output, prefix, height, width):
    return output[:, prefix:].transpose(1, 2).reshape(len(output), -1, height, width)


@pytest.mark.parametrize(
    ("make", "layer", "size", "padded", "last"),
    [
        (torchvision.models.resnet18, "layer4", (100, 150), (128, 160), False),
        (swin, "features.7", (100, 150), (128, 160), True),
        (convnext, "features.7", (96, 128), (96, 128), False),
    ],
    ids=["resnet18", "swin", "convnext"],
)
def test_maps_of_torchvision(make, layer, size, padded, last):
    module, images = seeded(make), pictures(*size)
    encoder = module_encoder(module, [layer], MEAN, STD)
    activations = encoder(images)
    assert (encoder.stride, activations.padded_size) == (32, padded)
    expected = by_hand(module, layer, encoder.pixels(images))
    torch.testing.assert_close(activations.last, expected.permute(0, 3, 1, 2) if last else expected)


def test_tokens_of_torchvision_at_the_size_of_the_network():
    module, images = seeded(lambda: torchvision.models.VisionTransformer(224, 16, 4, 2, 32, 64)), pictures(224, 224)
    layer = "encoder.layers.encoder_layer_3"
    encoder = module_encoder(module, [layer], MEAN, STD, image_size=224)
    assert (encoder.stride, encoder.reader.layout.prefix_tokens) == (16, 1)
    expected = tokens(by_hand(module, layer, encoder.pixels(images)), 1, 14, 14)
    torch.testing.assert_close(encoder(images).last, expected)
    with pytest.raises(ValueError, match=r"VisionTransformer does not take images of 448 x 448: set image_size"):
        module_encoder(module, [layer], MEAN, STD)


TINY = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 48, "image_size": 64}


@pytest.mark.parametrize(
    ("model", "config", "options", "size"),
    [
        ("ViTModel", "ViTConfig", {"patch_size": 16}, (64, 64)),
        ("Dinov2Model", "Dinov2Config", {"patch_size": 14, "image_size": 56}, (70, 100)),
        ("CLIPVisionModel", "CLIPVisionConfig", {"patch_size": 16}, (64, 64)),
    ],
)
def test_tokens_of_transformers(model, config, options, size):
    transformers = pytest.importorskip("transformers")
    made = getattr(transformers, config)(**{**TINY, **options})
    module = seeded(lambda: getattr(transformers, model)(made))
    (layer,) = [name for name, _ in module.named_modules() if name.endswith(("layer.1", "layers.1"))]
    images, free = pictures(*size), model == "Dinov2Model"
    encoder = module_encoder(module, [layer], MEAN, STD, image_size=None if free else 64)
    assert (encoder.stride, encoder.reader.layout.prefix_tokens) == (made.patch_size, 1)
    pixels = encoder.pixels(images)
    grid = [side // made.patch_size for side in pixels.shape[2:]]
    torch.testing.assert_close(encoder(images).last, tokens(by_hand(module, layer, pixels), 1, *grid))


class Outputs(nn.Module):
    """A patch embedding whose tokens come in a mapping, a tuple or a list, after ``prefix`` tokens of zeros."""

    def __init__(self, prefix, wrap):
        super().__init__()
        self.embed, self.prefix, self.wrap = nn.Conv2d(3, 5, 8, 8), prefix, wrap
        self.inner = Wrapping(self)

    def forward(self, images):
        return self.inner(self.embed(images).flatten(2).transpose(1, 2))


class Wrapping(nn.Module):
    def __init__(self, outer):
        super().__init__()
        self.options = outer.prefix, outer.wrap

    def forward(self, patches):
        prefix, wrap = self.options
        return wrap(torch.cat([patches.new_zeros(len(patches), prefix, 5), patches], dim=1))


WRAPS = {
    "mapping": lambda output: {"last_hidden_state": output, "pooled": output[:, 0]},
    "tuple": lambda output: (output, output[:, 0]),
    "nested": lambda output: [(output,)],
}


@pytest.mark.parametrize("wrap", WRAPS)
@pytest.mark.parametrize("prefix", [0, 1, 5])
def test_prefix_tokens_are_found_and_outputs_unwrapped(wrap, prefix):
    module = seeded(lambda: Outputs(prefix, WRAPS[wrap]))
    encoder = module_encoder(module, ["inner"], MEAN, STD)
    images = pictures(17, 40)
    activations = encoder(images)
    assert (encoder.stride, encoder.reader.layout.prefix_tokens, activations.padded_size) == (8, prefix, (24, 40))
    torch.testing.assert_close(activations.last, module.embed(encoder.pixels(images)))


def test_what_is_given_is_believed():
    module = seeded(lambda: Outputs(5, WRAPS["tuple"]))
    encoder = module_encoder(module, ["inner"], MEAN, STD, stride=8, prefix_tokens=5)
    assert encoder(pictures(16, 16)).last.shape == (2, 5, 2, 2)
    with pytest.raises(UnknownLayerError, match=r"'inner' returns .* no feature map: .* stride= and prefix_tokens="):
        module_encoder(module, ["inner"], MEAN, STD, stride=8, prefix_tokens=4)


def test_the_module_stays_as_it_was():
    module = seeded(torchvision.models.resnet18).train()
    module.bn1.eval()
    modes = [one.training for one in module.modules()]
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    encoder = module_encoder(module, ["layer4"], MEAN, STD)
    encoder(pictures(64, 64))
    assert encoder.network is module
    assert [one.training for one in module.modules()] == modes
    assert all(parameter.requires_grad for parameter in module.parameters())
    assert not any(one._forward_hooks for one in module.modules())
    torch.testing.assert_close(dict(module.state_dict()), before, rtol=0, atol=0)


@pytest.mark.parametrize("missing", ["layers", "mean", "std"])
def test_what_is_missing_is_named(missing):
    given = {"layers": ["layer4"], "mean": MEAN, "std": STD, missing: None}
    with pytest.raises(ValueError, match=rf"nave\.load\(Conv2d\) needs {missing}: layers are names"):
        module_encoder(nn.Conv2d(3, 4, 3), **given)


def test_a_module_has_no_numbered_layers():
    with pytest.raises(UnknownLayerError, match=r"layers of Sequential have no numbers, .* such as 0, 1"):
        module_encoder(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()), [-1], MEAN, STD)
