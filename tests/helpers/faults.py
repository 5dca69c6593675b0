"""One of the project's commands in a process of its own, to which something happens while it writes.

A fault happens at one of the operations by which a process changes its folder: opening a file to write, renaming,
linking, removing, making a folder. ``python -m tests.helpers.faults OVERRIDES`` is the command for several processes,
since Lightning repeats the command line; ``FAULT`` in the environment holds the rest.
"""

import errno
import itertools
import json
import multiprocessing
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import torch

from tests.helpers.running import exit_code

WRITING = os.O_WRONLY | os.O_RDWR
NEEDS_SPACE = ("open", "os.mkdir", "os.link")
CHANGES = (*NEEDS_SPACE, "os.rename", "os.remove", "os.rmdir", "shutil.rmtree")


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def terminate() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def cut_off() -> None:
    """No file grows beyond 200 bytes from now on: what is longer is written in part."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (200, resource.RLIM_INFINITY))


def full() -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def read_only() -> None:
    raise OSError(errno.EROFS, os.strerror(errno.EROFS))


ACTIONS: dict[str, Callable[[], None]] = {
    action.__name__: action for action in (kill, terminate, cut_off, full, read_only)
}
LASTING = ("full", "read_only")
ENDS = {  # exit codes; 0 where the fault hit nothing any more
    "kill": (-signal.SIGKILL,),
    "terminate": (128 + signal.SIGTERM, -signal.SIGTERM, 0),  # the second before the work has begun
    "cut_off": (1, 0),
    "full": (1, 0),
    "read_only": (1,),
}


@dataclass(frozen=True)
class Fault:
    """What happens (a key of ``ACTIONS``; None only counts), at which operation, and to which of several processes."""

    kind: str | None = None
    at: int = 0
    rank: int = 0


class Operations:
    """An audit hook that counts a process's operations below ``folder``, and lets the fault happen at one of them."""

    def __init__(self, folder: Path, fault: Fault) -> None:
        self.folder, self.fault, self.count = f"{folder}{os.sep}", fault, 0
        self._numbers = itertools.count(1)  # no lock: a signal may interrupt what holds it

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event not in CHANGES or not self._is_change(event, arguments):
            return
        self.count = number = next(self._numbers)
        kind = self.fault.kind
        if kind is None or number < self.fault.at or (number > self.fault.at and kind not in LASTING):
            return
        if kind != "full" or event in NEEDS_SPACE:
            ACTIONS[kind]()

    def _is_change(self, event: str, arguments: tuple[Any, ...]) -> bool:
        path = arguments[1] if event in ("os.rename", "os.link") else arguments[0]
        inside = isinstance(path, str | os.PathLike) and str(Path(path).absolute()).startswith(self.folder)
        return inside and (event != "open" or bool(arguments[2] & WRITING))


def work(name: str, overrides: list[str], folder: str, fault: Mapping[str, Any], log: str) -> None:
    """In the new process: ``name`` is a module with a command, ``folder`` the one in which the fault happens."""
    with Path(log).open("a") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    os.chdir(Path(folder).parent)
    os.environ["COLUMNS"] = "120"
    torch.set_num_threads(1)
    sys.exit(_watched(Path(folder), Fault(**fault), lambda: exit_code(import_module(name).main, *overrides)))


def _watched(folder: Path, fault: Fault, command: Callable[[], int | None]) -> int:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # an error of the write, as on a full disk
    operations = Operations(folder, fault)
    sys.addaudithook(operations)
    code = command()
    folder.with_name(f"{folder.name}.{os.environ.get('LOCAL_RANK', '0')}.count").write_text(str(operations.count))
    return code or 0


def run(name: str, overrides: list[str], folder: Path, fault: Fault, together: bool = False) -> int:
    """The exit code of a command, begun from a process that has imported everything, or with ``together`` anew."""
    log = folder.with_name(f"{folder.name}.log")
    arguments = (name, overrides, str(folder), asdict(fault), str(log))
    if together:
        code = _anew(arguments, log)
    else:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["tests.helpers.warm"])
        process = context.Process(target=work, args=arguments)
        process.start()
        process.join(300)
        assert process.exitcode is not None, f"{folder} has not ended: {log}"
        code = process.exitcode
    print(f"{fault} ended with {code}", log.read_text(), sep="\n")
    return code


def _anew(arguments: tuple[Any, ...], log: Path) -> int:
    surroundings = os.environ | {"FAULT": json.dumps(arguments), "OMP_NUM_THREADS": "1", "COLUMNS": "120"}
    command = [sys.executable, "-m", "tests.helpers.faults", *arguments[1]]
    root = str(Path(__file__).parents[2])
    with log.open("a") as file:
        process = subprocess.Popen(
            command, cwd=Path(arguments[2]).parent, env=surroundings | {"PYTHONPATH": root}, stdout=file, stderr=file
        )
        return process.wait(300)


if __name__ == "__main__":
    _name, _, _folder, _fault, _ = json.loads(os.environ["FAULT"])
    _fault = Fault(**_fault)
    _fault = _fault if os.environ.get("LOCAL_RANK", "0") == str(_fault.rank) else Fault()
    sys.exit(_watched(Path(_folder), _fault, import_module(_name).main))
