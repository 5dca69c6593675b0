"""Compiled blocks give what the blocks give; hooks inside of blocks are kept."""

import copy
import shutil

import pytest
import torch

from nave.compiled import compile_stages
from nave.encoder import Encoder
from tests.running import into, nave_run, photographs, record


def encoder(layers):
    schemes = {"default": "random", "random": "random"}
    return Encoder("tiny", "test_vit", layers, schemes, options={"dynamic_img_size": True})


def images():
    return torch.randint(0, 256, (2, 3, 48, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="no C++ compiler")
@pytest.mark.filterwarnings("ignore")  # torch's own, while it compiles
def test_the_same_up_to_rounding():
    layers = ["blocks.0", "blocks.3.mlp"]
    expected, compiled = encoder(layers)(images()), encoder(layers)

    compile_stages(compiled.network, compiled.layers)

    for _ in range(2):
        found = compiled(images())
        for name, grid in expected.items():
            torch.testing.assert_close(found[name], grid, atol=1e-4, rtol=1e-4)


def test_a_block_with_a_hook_inside_is_left_alone():
    network = encoder([-1]).network
    names = compile_stages(network, ["blocks.1.mlp", "blocks.0"])
    assert "blocks.1" not in names
    assert "blocks.0" in names


def test_weights_keep_their_names():
    one = encoder([-1]).network
    before = copy.copy(list(one.state_dict()))
    compile_stages(one, [])
    assert list(one.state_dict()) == before


def test_without_a_compiler_the_cure_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    assert nave_run(*photographs(tmp_path / "data", 1), into(tmp_path / "out"), "compile=true") == 1
    assert "no 'no-such-compiler' here: install g++" in record(tmp_path / "out")["error"]
