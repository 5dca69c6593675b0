import io
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from hypothesis import given
from hypothesis import strategies as st

from nave.weights.file import WeightsError, file_weights
from tests.fuzz.harness import read, thorough
from tests.fuzz.strategies import damaged

MARK = "NAVE_FUZZ_MARK"  # environment variable with the file that code of a pickle would write


class Code:
    """Writes a file when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return exec, ("import os; open(os.environ['NAVE_FUZZ_MARK'], 'w').close()",)


def torch_file(content: object, zipped: bool = True) -> bytes:
    file = io.BytesIO()
    torch.save(content, file, _use_new_zipfile_serialization=zipped)
    return file.getvalue()


def with_code() -> bytes:
    """A torch file whose pickle is one that runs code."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a/data.pkl", pickle.dumps({"head": Code()}))
        archive.writestr("a/version", "3\n")
    return file.getvalue()


TENSORS = {"a": torch.zeros(2), "module.b": torch.ones(1, dtype=torch.float16)}
CODE = (pickle.dumps(Code()), pickle.dumps({"state_dict": Code()}, 0), with_code(), torch_file({"a": Code()}))
SOUND = (
    *(safetensors.torch.save(TENSORS), torch_file(TENSORS), torch_file(TENSORS, zipped=False)),
    *(torch_file({"state_dict": TENSORS}), torch_file({"model": {"model": {}}}), torch_file([1]), torch_file("a")),
    b"\xff\xff\xff\xff\xff\xff\xff\x7f{",
    (10**6).to_bytes(8, "little") + b"{}",
)


@pytest.mark.filterwarnings("ignore")
@given(damaged(st.sampled_from([*SOUND, *CODE])), st.sampled_from(["pth", "safetensors"]))
@thorough
def test_weights(tmp_path: Path, content: bytes, suffix: str) -> None:
    mark = tmp_path / "ran"
    os.environ[MARK] = str(mark)
    found = read(tmp_path / "files" / f"a.{suffix}", content, file_weights)
    assert not mark.exists()
    if found is not None:
        sets, digest = found
        assert sets
        assert all(isinstance(tensor, torch.Tensor) for one in sets for tensor in one.tensors.values())
        assert len(digest) == 64


@pytest.mark.parametrize("content", CODE)
def test_the_pickles_would_run_if_they_were_loaded(tmp_path: Path, monkeypatch, content: bytes) -> None:
    mark = tmp_path / "ran"
    monkeypatch.setenv(MARK, str(mark))
    path = tmp_path / "a.pth"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=r"a\.pth (is not a torch file of plain tensors|is refused|holds no named)"):
        file_weights(path)
    assert not mark.exists()
    pickle.loads(content) if content[:2] != b"PK" else torch.load(path, weights_only=False)
    assert mark.exists()
