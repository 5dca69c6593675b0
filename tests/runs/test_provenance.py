"""run.json says how a run began and ended, whatever happened."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from nave.runs.layout import RunFolder
from nave.runs.provenance import begin, commit, recorded
from nave.runs.resume import ConflictingResultsError
from tests.helpers.running import record


@pytest.fixture(autouse=True)
def asked_anew() -> Iterator[None]:
    commit.cache_clear()
    yield
    commit.cache_clear()


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


def repository(root: Path, file: str) -> Path:
    """A repository with one commit, of ``file``."""
    (root / file).parent.mkdir(parents=True, exist_ok=True)
    (root / file).write_text("")
    author = ("-c", "user.name=a", "-c", "user.email=a@b")
    for arguments in (("init", "-q"), ("add", file), (*author, "commit", "-q", "-m", "one")):
        subprocess.run(["git", *arguments], cwd=root, check=True)
    return root / file


def test_the_commit_is_that_of_the_projects_own_repository(tmp_path: Path) -> None:
    file = repository(tmp_path, "nave/runs/provenance.py")
    found = commit(file)
    assert found
    assert len(found) == 40
    file.write_text("# changed")
    commit.cache_clear()
    assert commit(file) == f"{found}-dirty"


@pytest.mark.parametrize("tracked", ["setup.py", "vendored/nave/runs/provenance.py"])
def test_a_package_inside_another_repository_has_no_commit(tmp_path: Path, tracked: str) -> None:
    repository(tmp_path, tracked)
    inside = tmp_path / "vendored" / "nave" / "runs" / "provenance.py"
    inside.parent.mkdir(parents=True, exist_ok=True)
    inside.write_text("")
    assert commit(inside) is None


def test_a_hook_of_another_repository_does_not_lend_its_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, other = (repository(tmp_path / name, "nave/runs/provenance.py") for name in "ab")
    other.write_text("# changed")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "b" / ".git"))
    assert commit(file) != commit(other)


def test_a_machine_without_git_has_no_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert commit() is None
    assert begin({}, None)["commit"] is None
