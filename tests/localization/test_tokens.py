"""Keys as timm's own attention computes them."""

import torch

from nave.encoder import Encoder
from nave.hooks import layer_names
from nave.localization.lost import Lost
from nave.localization.tokens import taken


def test_keys_are_those_of_the_last_layers_attention():
    encoder = Encoder(
        "vit", "vit_tiny_patch16_224", [-2, -1], {"default": "random"}, options={"dynamic_img_size": True}
    )
    assert Lost("tokens").layers(encoder.layers) == ["blocks.11"]
    encoder.layers = layer_names(encoder.network, Lost("keys").layers(encoder.layers))
    seen = {}
    attention = encoder.network.blocks[11].attn
    attention.register_forward_pre_hook(lambda _, inputs: seen.update(x=inputs[0]))
    (grid,) = encoder(torch.randint(0, 256, (1, 3, 32, 48), dtype=torch.uint8)).values()
    tokens = seen["x"].shape[1]
    qkv = attention.qkv(seen["x"]).reshape(1, tokens, 3, attention.num_heads, -1).permute(2, 0, 3, 1, 4)
    keys = qkv[1][0].transpose(0, 1).flatten(1)[1:]  # heads side by side, without the class token
    assert torch.equal(taken("keys", grid[0]), keys)
