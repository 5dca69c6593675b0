import hashlib
import importlib
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import Tensor

from nave.weights.file import WeightsError, file_weights

TENSORS = {"blocks.0.weight": torch.ones(2), "blocks.1.weight": torch.zeros(2), "norm.weight": torch.ones(3)}


def read(path: Path) -> tuple[Mapping[str, Tensor], str]:
    """The only tensors of a file, and its digest."""
    (tensors,), sha256 = file_weights(path)
    return tensors.tensors, sha256


@pytest.mark.parametrize("suffix", [".safetensors", ".pth", ".bin"])
def test_tensors_and_the_digest_of_the_bytes(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"weights{suffix}"
    (safetensors.torch.save_file if suffix == ".safetensors" else torch.save)(TENSORS, path)
    tensors, sha256 = read(path)
    torch.testing.assert_close(tensors, TENSORS)
    assert sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"there is no weights file .*gone\.pth"):
        file_weights(tmp_path / "gone.pth")


@pytest.mark.parametrize("content", [b"", b"not weights at all", b"PK\x03\x04half a zip"])
@pytest.mark.parametrize(("name", "kind"), [("a.safetensors", "a whole safetensors file"), ("a.pth", "a torch file")])
def test_a_damaged_file_is_named(tmp_path: Path, name: str, kind: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(WeightsError, match=rf"{name} is not {kind}"):
        file_weights(tmp_path / name)


class _Called:
    """Pickled as a call of any function, which the unpickler of Python would make."""

    def __init__(self, function: Callable[..., object], *arguments: object) -> None:
        self.call = function, arguments

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return self.call


@pytest.mark.parametrize("zipped", [True, False])
def test_no_code_of_a_file_is_run(tmp_path: Path, zipped: bool) -> None:
    path, trace = tmp_path / "malicious.pth", tmp_path / "ran"
    code = f"open({str(trace)!r}, 'w').close()"
    for function in (exec, eval):
        content = {"state_dict": TENSORS, "args": _Called(function, code), "more": [_Called(print, "ran")]}
        torch.save(content, path, _use_new_zipfile_serialization=zipped)
        torch.testing.assert_close(read(path)[0], TENSORS)
    assert not trace.exists()
    torch.load(path, weights_only=False)  # as the file would have it
    assert trace.exists()


@pytest.mark.parametrize(("function", "name"), [(os.system, "(posix|nt).system"), (Path.touch, "getattr")])
def test_a_file_that_calls_what_even_torch_blocks_is_refused(
    tmp_path: Path, function: Callable[..., object], name: str
) -> None:
    argument = f"touch {tmp_path / 'ran'}" if function is os.system else tmp_path / "ran"
    torch.save({"state_dict": TENSORS, "args": _Called(function, argument)}, tmp_path / "bad.pth")
    with pytest.raises(WeightsError, match=rf"bad\.pth is refused: it calls {name}, .* Nothing of it was run"):
        file_weights(tmp_path / "bad.pth")
    assert not (tmp_path / "ran").exists()


def test_a_class_of_unknown_code_is_not_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "theirs.py").write_text("class Options(dict):\n    pass\n\nclass Config:\n    pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    theirs = importlib.import_module("theirs")
    config, options = theirs.Config(), theirs.Options(lr=0.1)
    config.options = options
    torch.save({"net": TENSORS, "config": config, "options": options}, tmp_path / "a.pth")
    (tmp_path / "theirs.py").write_text("raise AssertionError('imported')")
    monkeypatch.delitem(sys.modules, "theirs")
    torch.testing.assert_close(read(tmp_path / "a.pth")[0], TENSORS)
    assert "theirs" not in sys.modules


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
        torch.testing.assert_close(read(path)[0], TENSORS)
    torch.save(TENSORS, path, _use_new_zipfile_serialization=False)
    torch.testing.assert_close(read(path)[0], TENSORS)


@pytest.mark.parametrize("name", ["a.pth", "a.safetensors"])
@pytest.mark.parametrize("end", [9, 50, 150, 200])
def test_a_cut_file_is_named_whatever_it_is(tmp_path: Path, name: str, end: int) -> None:
    torch.save(TENSORS, tmp_path / "whole", _use_new_zipfile_serialization=False)
    for content in (safetensors.torch.save(TENSORS), (tmp_path / "whole").read_bytes()):
        (tmp_path / name).write_bytes(content[:end])
        with pytest.raises(WeightsError, match=rf"{name} is not a"):
            file_weights(tmp_path / name)


def test_what_holds_itself_ends(tmp_path: Path) -> None:
    content: dict[str, object] = {"model": TENSORS}
    content["itself"] = content
    torch.save(content, tmp_path / "a.pth")
    torch.testing.assert_close(read(tmp_path / "a.pth")[0], TENSORS)
    deep: dict[str, object] = {"model": TENSORS}
    for _ in range(3000):
        deep = {"a": deep}
    with pytest.raises(WeightsError, match=r"a\.pth (is nested too deeply|is not a torch file)"):
        saved_and_read(deep, tmp_path / "a.pth")


def saved_and_read(content: object, path: Path) -> None:
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(20_000)
    try:
        torch.save(content, path)
    finally:
        sys.setrecursionlimit(limit)
    file_weights(path)
