"""The measurement of large runs, on a small one."""

from pathlib import Path

import pytest

from experiments.load import load_stand_in


@pytest.mark.slow
def test_a_run_without_an_encoder_is_killed_resumed_scored_and_shown(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    load_stand_in(tmp_path, 400)
    out = capfd.readouterr().out
    assert all(f"400 images, {step}" in out for step in ("half of them explained", "scored again", "page"))
    assert (tmp_path / "run" / "concepts.json").is_file()
