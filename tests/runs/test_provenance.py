"""run.json says how a run began and ended, whatever happened."""

from pathlib import Path

import pytest

from nave.runs.layout import RunFolder
from nave.runs.provenance import begin, recorded
from nave.runs.resume import ConflictingResultsError
from tests.helpers.running import record


def test_a_run_that_ends_well_says_so_and_what_it_took(tmp_path: Path) -> None:
    with recorded(RunFolder(tmp_path), begin({"k": 5}, None)):
        assert not (tmp_path / "run.json").exists()
    after = record(tmp_path)
    assert (after["status"], after["config"]) == ("ok", {"k": 5})
    assert after["seconds"]["total"] >= 0
    assert {"host", "pid", "slurm_job"} == after["process"].keys()


@pytest.mark.parametrize(
    ("error", "status"),
    [(ValueError("k=0"), "failed"), (KeyboardInterrupt(), "interrupted"), (SystemExit(), "interrupted")],
)
def test_an_error_is_on_record_and_raised_again(tmp_path: Path, error: BaseException, status: str) -> None:
    with pytest.raises(type(error)), recorded(RunFolder(tmp_path), begin({}, None)):
        raise error
    after = record(tmp_path)
    assert after["status"] == status
    assert after["error"].startswith(type(error).__name__)
    assert "Traceback" in after["traceback"]


def test_a_folder_of_another_run_is_left_alone(tmp_path: Path) -> None:
    with pytest.raises(ConflictingResultsError), recorded(RunFolder(tmp_path), begin({}, None)):
        raise ConflictingResultsError("k was 3")
    assert not list(tmp_path.iterdir())


def test_earlier_attempts_stay_on_record_but_not_their_error() -> None:
    first = begin({"k": 5}, None) | {"weights_sha256": "a", "error": "the power went", "total": 9}
    second = begin({"k": 5}, first)
    assert len(second["attempts"]) == 2
    assert (second["started"], second["weights_sha256"]) == (first["started"], "a")
    assert not {"error", "total"} & second.keys()
