import hashlib
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import Tensor

from nave.weights.file import WeightsError, file_weights, unwrap

TENSORS = {"blocks.0.weight": torch.ones(2), "blocks.1.weight": torch.zeros(2), "norm.weight": torch.ones(3)}


def _prefixed(prefix: str) -> dict[str, Tensor]:
    return {prefix + name: tensor for name, tensor in TENSORS.items()}


@pytest.mark.parametrize("suffix", [".safetensors", ".pth", ".bin"])
def test_tensors_and_the_digest_of_the_bytes(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"weights{suffix}"
    (safetensors.torch.save_file if suffix == ".safetensors" else torch.save)(TENSORS, path)
    tensors, sha256 = file_weights(path)
    torch.testing.assert_close(tensors, TENSORS)
    assert sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize(
    "content",
    [
        {"state_dict": TENSORS, "epoch": 3},
        {"model": _prefixed("module.")},
        {"model": TENSORS, "model_ema": None},
        {"state_dict": {name: -tensor for name, tensor in TENSORS.items()}, "state_dict_ema": TENSORS},
        {"student": {}, "teacher": _prefixed("backbone.") | {"head.mlp.0.weight": torch.ones(1)}, "epoch": 1},
        {
            "student": {},
            "teacher": _prefixed("module.backbone.") | {"module.head.last.weight": torch.ones(1)},
        },
        {"state_dict": _prefixed("encoder.network."), "hyper_parameters": {"seed": 1}},
        {"model": {"state_dict": _prefixed("_orig_mod.")}},
    ],
    ids=["lightning", "ddp", "no average", "average", "dino", "dino ddp", "nested prefix", "compiled"],
)
def test_wrappers_are_removed(tmp_path: Path, content: dict[str, object]) -> None:
    path = tmp_path / "checkpoint.pth"
    torch.save(content, path)
    tensors, _ = file_weights(path)
    torch.testing.assert_close(tensors, TENSORS)


def test_a_minority_prefix_is_part_of_the_names() -> None:
    tensors = TENSORS | {"model.extra": torch.ones(1)}
    assert unwrap(tensors) == tensors


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"there is no weights file .*gone\.pth"):
        file_weights(tmp_path / "gone.pth")


@pytest.mark.parametrize("content", [b"", b"not weights at all", b"PK\x03\x04half a zip"])
@pytest.mark.parametrize(("name", "kind"), [("a.safetensors", "a whole safetensors file"), ("a.pth", "a torch file")])
def test_a_damaged_file_is_named(tmp_path: Path, name: str, kind: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(WeightsError, match=rf"{name} is not {kind}"):
        file_weights(tmp_path / name)


class _Malicious:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return exec, ("raise AssertionError('code ran')",)


def test_a_file_that_would_run_code_is_refused(tmp_path: Path) -> None:
    torch.save({"state_dict": _Malicious()}, tmp_path / "malicious.pth")
    with pytest.raises(WeightsError, match=r"malicious\.pth is not a torch file of plain tensors"):
        file_weights(tmp_path / "malicious.pth")


@pytest.mark.parametrize("content", [[1, 2], {"epoch": 3}, torch.ones(2)])
def test_a_file_without_named_tensors_is_refused(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "empty.pth")
    with pytest.raises(WeightsError, match="holds no named tensors"):
        file_weights(tmp_path / "empty.pth")


@pytest.mark.parametrize("suffix", [".safetensors", ".pth", ".bin", ""])
def test_the_first_bytes_decide_not_the_suffix(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"weights{suffix}"
    for save in (safetensors.torch.save_file, torch.save):
        save(TENSORS, path)
        torch.testing.assert_close(file_weights(path)[0], TENSORS)
    torch.save(TENSORS, path, _use_new_zipfile_serialization=False)
    torch.testing.assert_close(file_weights(path)[0], TENSORS)


@pytest.mark.parametrize("name", ["a.pth", "a.safetensors"])
@pytest.mark.parametrize("end", [9, 50, 150, 200])
def test_a_cut_file_is_named_whatever_it_is(tmp_path: Path, name: str, end: int) -> None:
    torch.save(TENSORS, tmp_path / "whole", _use_new_zipfile_serialization=False)
    for content in (safetensors.torch.save(TENSORS), (tmp_path / "whole").read_bytes()):
        (tmp_path / name).write_bytes(content[:end])
        with pytest.raises(WeightsError, match=rf"{name} is not a"):
            file_weights(tmp_path / name)
