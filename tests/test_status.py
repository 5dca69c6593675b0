"""run.json says how a run began and ended, whatever happened."""

from pathlib import Path

import pytest

from nave.resume import OtherResults
from nave.status import begun, recorded
from tests.running import record


def test_a_run_that_ends_well_says_so_and_what_it_took(tmp_path: Path) -> None:
    with recorded(tmp_path, begun({"k": 5}, None)) as _:
        assert not (tmp_path / "run.json").exists()
    found = record(tmp_path)
    assert (found["status"], found["config"]) == ("ok", {"k": 5})
    assert found["seconds"]["total"] >= 0
    assert {"host", "pid", "slurm_job"} == found["process"].keys()


@pytest.mark.parametrize(
    ("error", "status"),
    [(ValueError("k=0"), "failed"), (KeyboardInterrupt(), "interrupted"), (SystemExit(), "interrupted")],
)
def test_an_error_is_on_record_and_goes_on(tmp_path: Path, error: BaseException, status: str) -> None:
    with pytest.raises(type(error)), recorded(tmp_path, begun({}, None)):
        raise error
    found = record(tmp_path)
    assert found["status"] == status
    assert found["error"].startswith(type(error).__name__)
    assert "Traceback" in found["traceback"]


def test_a_folder_of_another_run_is_left_alone(tmp_path: Path) -> None:
    with pytest.raises(OtherResults), recorded(tmp_path, begun({}, None)):
        raise OtherResults("k was 3")
    assert not list(tmp_path.iterdir())


def test_earlier_attempts_stay_on_record_but_not_their_error() -> None:
    first = begun({"k": 5}, None) | {"weights_sha256": "a", "error": "the power went", "total": 9}
    second = begun({"k": 5}, first)
    assert len(second["attempts"]) == 2
    assert (second["started"], second["weights_sha256"]) == (first["started"], "a")
    assert not {"error", "total"} & second.keys()
