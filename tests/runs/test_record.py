"""One process works in a folder at a time."""

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from nave.runs.claim import BEAT, FolderInUseError, claimed
from nave.runs.files import write_whole
from nave.runs.layout import RunFolder

GONE = {"host": platform.node(), "pid": 2**22 + 1, "slurm_job": None}


def taken(folder: RunFolder, process: dict[str, object], seconds_ago: float = 0) -> None:
    folder.path.mkdir(parents=True, exist_ok=True)
    folder.claim.write_text(json.dumps(process))
    then = folder.claim.stat().st_mtime - seconds_ago
    os.utime(folder.claim, (then, then))


def test_a_claim_lasts_as_long_as_the_work_also_if_it_fails(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    with pytest.raises(KeyboardInterrupt), claimed(folder):  # noqa: PT012 - looks inside before it fails
        assert json.loads(folder.claim.read_text())["pid"] == os.getpid()
        raise KeyboardInterrupt
    assert not list(folder.path.iterdir())


def test_a_folder_in_which_a_process_works_is_refused(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    other = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        taken(folder, GONE | {"pid": other.pid})
        with pytest.raises(FolderInUseError, match=f"process {other.pid} on {platform.node()}: wait"), claimed(folder):
            pass
    finally:
        other.communicate(b"\n")
    assert json.loads(folder.claim.read_text())["pid"] == other.pid
    with claimed(folder):
        assert json.loads(folder.claim.read_text())["pid"] == os.getpid()


@pytest.mark.parametrize(
    ("process", "seconds_ago", "refused"),
    [
        (GONE, 0, False),
        (GONE | {"pid": os.getpid()}, 0, False),  # an earlier process with the same id, as in containers
        (GONE | {"host": "another"}, 0, True),
        (GONE | {"host": "another"}, 6 * BEAT, False),
    ],
)
def test_the_claim_of_a_dead_process_is_taken_over(
    tmp_path: Path, process: dict[str, object], seconds_ago: float, refused: bool
) -> None:
    folder = RunFolder(tmp_path)
    taken(folder, process, seconds_ago)
    if refused:
        with pytest.raises(FolderInUseError, match="on another"), claimed(folder):
            pass
        return
    with claimed(folder):
        assert json.loads(folder.claim.read_text())["pid"] == os.getpid()
    assert not list(tmp_path.iterdir())


def test_a_claim_that_the_power_cut_is_none(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.claim.write_text(json.dumps(GONE)[:-9])
    os.utime(folder.claim, (0, 0))
    with claimed(folder):
        assert json.loads(folder.claim.read_text())["pid"] == os.getpid()


TAKEN_OVER_BY_ONE = """
import os, sys, time
from pathlib import Path
from nave.runs.layout import RunFolder
from nave.runs.claim import FolderInUseError, claimed

begin, go = os.pipe()
for _ in range(4):
    if os.fork():
        continue
    os.close(go)
    os.read(begin, 1)  # returns in all of them when the first process closes its end
    try:
        with claimed(RunFolder(Path(sys.argv[1]))):
            os.write(1, b"mine\\n")
            time.sleep(0.5)
    except FolderInUseError:
        os.write(1, b"refused\\n")
    os._exit(0)
os.close(go)
for _ in range(4):
    os.wait()
"""


def test_one_of_many_takes_over(tmp_path: Path) -> None:
    taken(RunFolder(tmp_path), GONE)
    command = [sys.executable, "-c", TAKEN_OVER_BY_ONE, str(tmp_path)]  # imports once what takes seconds
    told = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout.split()
    assert sorted(told) == ["mine", "refused", "refused", "refused"]


@pytest.mark.parametrize(("deep", "left"), [(True, []), (False, ["job/.b.part"])])
def test_what_a_killed_process_was_writing_is_removed(tmp_path: Path, deep: bool, left: list[str]) -> None:
    folder = RunFolder(tmp_path)
    for name in ("run.json", ".a.part", "job/.b.part"):
        write_whole(tmp_path / name, "")
    with claimed(folder, deep):
        assert (tmp_path / ".a.part").exists()  # nobody was killed: it may belong to a further process of this job
    taken(folder, GONE)
    with claimed(folder, deep):
        names = [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()]
    assert sorted(names) == sorted([".claim", "run.json", *left])
