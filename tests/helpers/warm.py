"""Imported by the process from which those of ``tests.helpers.faults`` are forked.

One run over one photograph imports and compiles what every run would: it saves each of them two seconds.
"""

import contextlib
import os
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

import nave.train  # noqa: F401
from tests.helpers.running import into, nave_run, photographs

torch.set_num_threads(1)  # threads do not survive a fork
with TemporaryDirectory() as _folder, Path(os.devnull).open("w") as _nowhere, contextlib.redirect_stdout(_nowhere):
    assert nave_run(*photographs(Path(_folder), 1), into(Path(_folder) / "run")) == 0
