"""The public names of the package, as a notebook uses them."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image

import nave
from tests.helpers.running import one_thread

QUICK = {"model": "efficientnet_lite0", "training": "random", "layers": [1], "localization": "nave"}


@pytest.fixture(scope="module")
def explainer() -> nave.LoadedExplainer:
    return nave.load(**QUICK, device="cpu")


def image(height: int = 40, width: int = 48, seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


def test_every_public_name_is_there() -> None:
    assert all(hasattr(nave, name) for name in nave.__all__)
    with pytest.raises(AttributeError, match="nothing"):
        _ = nave.nothing


def test_importing_the_package_imports_no_framework() -> None:
    program = "import nave, sys; print(sorted({'torch', 'lightning', 'hydra', 'timm'} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_a_network_explains_as_often_as_it_is_called(explainer: nave.LoadedExplainer) -> None:
    with one_thread():
        first, second = explainer(image(), k=2), explainer([image(), image(seed=1)], k=3)
        again = explainer(image(), k=2)
    assert (len(first), len(second)) == (1, 2)
    assert first.labels.shape == (1, 40, 48)
    assert first.labels.unique().tolist() == [0, 1]
    assert second.centroids.shape[:2] == (2, 3)
    assert torch.equal(first.labels, again.labels)


def test_one_call_equals_load_and_call(explainer: nave.LoadedExplainer) -> None:
    with one_thread():
        one, other = nave.explain(image(), k=3, device="cpu", **QUICK), explainer(image(), k=3)
    assert torch.equal(one.labels, other.labels)
    assert torch.equal(one.boxes, other.boxes)


def test_images_of_different_sizes_have_maps_of_their_own(explainer: nave.LoadedExplainer) -> None:
    result = explainer([image(), image(32, 32)], k=2)
    assert [labels.shape for labels in result.maps] == [(40, 48), (32, 32)]
    assert result.overlay(1).size == (32, 32)
    with pytest.raises(ValueError, match="differ in size"):
        _ = result.labels


def test_arrays_and_tensors_are_images_too(explainer: nave.LoadedExplainer) -> None:
    array = np.asarray(image())
    tensor = torch.from_numpy(array.copy()).permute(2, 0, 1)[None]
    with one_thread():
        results = [explainer(images, k=2).labels for images in (image(), array, [array], tensor)]
    assert all(torch.equal(results[0], other) for other in results[1:])


def test_activations_of_the_layers(explainer: nave.LoadedExplainer) -> None:
    (activations,) = explainer.activations(image())
    assert list(activations.grids) == explainer.layers
    assert activations.image_size == (40, 48)


@pytest.mark.parametrize(("k", "message"), [(0, "k=0"), ("many", "k='many'")])
def test_an_impossible_k_is_refused(explainer: nave.LoadedExplainer, k: int | str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        explainer(image(), k=k)


def test_options_are_those_of_the_configuration() -> None:
    options = QUICK | {"layers": [0, 1], "composite": "authors", "composite.upsampling": "nearest", "k": 3}
    explainer = nave.load(**options, device="cpu")
    assert len(explainer.layers) == 2
    blocks = np.asarray(explainer(image(64, 64)).labels[0]).reshape(32, 2, 32, 2)
    assert (blocks == blocks[:, :1, :, :1]).all()  # clustered on the first layer's grid
    with pytest.raises(ValueError, match="one number of clusters"):
        nave.load(**QUICK, k=[2, 3], device="cpu")(image())
    with pytest.raises(Exception, match="nonsense"):
        nave.load(**QUICK, nonsense=1)


def test_a_baseline_makes_its_map_without_clusters() -> None:
    result = nave.explain(image(), device="cpu", **QUICK | {"localization": "whole_image"})
    assert result.boxes.tolist() == [[0, 0, 48, 40]]
    assert result.lines[0]["k"] is None


def test_any_network_of_timm_needs_no_file():
    by_key = nave.load("timm", architecture="test_vit", training="random")
    by_name = nave.load("test_vit", training="random")
    picture = np.zeros((40, 50, 3), dtype=np.uint8)
    assert by_key.layers == by_name.layers == ["blocks.5"]
    assert torch.equal(by_key.activations(picture)[0].last, by_name.activations(picture)[0].last)


def test_any_module_is_explained():
    module = torch.nn.Sequential(torch.nn.Conv2d(3, 6, 8, 8), torch.nn.ReLU())
    picture = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    result = nave.load(module, layers=["1"], mean=(0.5, 0.5, 0.5), std=(0.2, 0.2, 0.2))(picture, k=3)
    assert result.maps[0].shape == (40, 50)
    with pytest.raises(ValueError, match="weights: a module brings its own weights"):
        nave.load(module, layers=["1"], mean=(0.5, 0.5, 0.5), std=(0.2, 0.2, 0.2), weights="a.pth")
