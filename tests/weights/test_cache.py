from pathlib import Path

import platformdirs
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nave.weights.cache import cache_folder, tensors_sha256
from nave.weights.error import WeightsError


def test_nave_cache_chooses_the_folder_and_it_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAVE_CACHE", str(tmp_path / "a" / "b"))
    assert cache_folder() == tmp_path / "a" / "b"
    assert cache_folder().is_dir()


def test_the_default_is_the_users_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NAVE_CACHE", raising=False)
    monkeypatch.setattr(platformdirs, "user_cache_path", lambda name: tmp_path / name)
    assert cache_folder() == tmp_path / "nave"


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("NAVE_CACHE", str(tmp_path / "file"))
    with pytest.raises(WeightsError, match=r"cache folder .*file cannot be made .* set NAVE_CACHE"):
        cache_folder()


@given(st.permutations(["a", "b", "c"]))
def test_the_digest_ignores_the_order_of_insertion(names: list[str]) -> None:
    tensors = {"a": torch.zeros(2), "b": torch.ones(3), "c": torch.tensor(7)}
    assert tensors_sha256({name: tensors[name] for name in names}) == tensors_sha256(tensors)


@pytest.mark.parametrize(
    "other",
    [
        {"b": torch.zeros(2, 3)},
        {"a": torch.zeros(3, 2)},
        {"a": torch.zeros(2, 3, dtype=torch.float64)},
        {"a": torch.tensor([[0.0, 0, 0], [0, 0, -0.0]])},
        {"a": torch.zeros(2, 3), "b": torch.zeros(0)},
    ],
    ids=["name", "shape", "type", "bits", "one more"],
)
def test_the_digest_sees_every_change(other: dict[str, torch.Tensor]) -> None:
    assert tensors_sha256(other) != tensors_sha256({"a": torch.zeros(2, 3)})


def test_the_digest_sees_values_not_strides() -> None:
    tensor = torch.arange(6.0).reshape(2, 3)
    assert tensors_sha256({"a": tensor.T}) == tensors_sha256({"a": tensor.T.contiguous()})
