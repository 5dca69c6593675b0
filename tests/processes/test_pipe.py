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


JOB = """
import logging, sys
from nave.processes.signals import StandardOutput
from nave.viz.terminal import announce
logging.basicConfig(handlers=[StandardOutput(sys.stdout)], level=logging.INFO)
sys.stdin.read()
{first}
{second}
print("worked", file=sys.stderr)
"""


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_a_job_goes_on_without_a_word_where_nobody_reads_its_lines(order: tuple[int, int]) -> None:
    lines = ["logging.info('a line of a log')", "announce('a table')"]
    code = JOB.format(first=lines[order[0]], second=lines[order[1]])
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdin
    assert process.stdout
    assert process.stderr
    process.stdout.close()
    process.stdin.close()
    with process.stderr as errors:
        assert errors.read() == "worked\n"
    assert process.wait(60) == 0
