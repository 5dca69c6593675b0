"""The tests that need a GPU, where the package lies in its repository."""

import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from pathlib import Path

from nave.bench.end_to_end import Figures

ROOT = Path(__file__).parents[2]
LIMIT = 150  # seconds


def gpu_tests(root: Path = ROOT) -> Figures:
    """Counts the tests; pytest prints a line as each of them ends."""
    files = [str(path) for path in sorted(root.glob("tests/**/test_*.py")) if "mark.gpu" in path.read_text("utf-8")]
    if not files:
        return {"tests_skipped": f"there are no tests under {root}"}
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.xml")
        options = ("-m", "gpu", "-v", "--tb=short", "-p", "no:cacheprovider", f"--junitxml={report}")
        command = [sys.executable, "-m", "pytest", *options, *files]
        done = subprocess.run(command, cwd=root, check=False, timeout=LIMIT)
        cases = list(ET.parse(report).iter("testcase")) if report.exists() else []
    failed = [case.get("name", "") for case in cases if {part.tag for part in case} & {"failure", "error"}]
    skipped = sum(any(part.tag == "skipped" for part in case) for case in cases)
    if done.returncode:
        raise RuntimeError(f"pytest ended with {done.returncode}; of {len(cases)} tests failed: {', '.join(failed)}")
    return {"tests_passed": len(cases) - skipped, "tests_left_out": skipped}
