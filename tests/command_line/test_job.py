"""How a job ends."""

import signal
from pathlib import Path
from typing import Any

import pytest

from nave.encoder.encoder import Encoder
from tests.helpers.running import into, nave_run, photographs, record


def test_ctrl_c_in_the_work_gives_130(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Though Lightning, which catches it, exits with 1."""

    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Encoder, "forward", interrupted)
    before = signal.getsignal(signal.SIGINT)
    try:
        assert nave_run(*photographs(tmp_path, 1), into(tmp_path / "run")) == 130
    finally:
        signal.signal(signal.SIGINT, before)  # Lightning ignores further ones
    assert record(tmp_path / "run")["status"] == "interrupted"
