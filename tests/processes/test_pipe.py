"""Whoever reads the first line of a help and no more."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize("module", ["nave.train", "nave.figure"])
def test_a_help_that_nobody_reads_has_no_traceback(module: str) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", module, "--help"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout
    assert process.stderr
    process.stdout.close()
    with process.stderr as errors:
        assert errors.read() == ""
    assert process.wait(60) in (141, 0)  # 128 + SIGPIPE, as a shell says; argparse hides what is not buffered
