"""The tests that need a GPU, where the package lies in its repository."""

import re
import subprocess
import sys
from pathlib import Path

from nave.bench.end_to_end import Figures

ROOT = Path(__file__).parents[2]
OUTCOME = re.compile(r"^(PASSED|FAILED|ERROR|SKIPPED|XFAIL|XPASS)\b.*", re.MULTILINE)
LIMIT = 150  # seconds


def gpu_tests(root: Path = ROOT) -> Figures:
    """Prints a line per test, and counts them.

    Raises:
        RuntimeError: if one fails, with the end of pytest's output.
    """
    files = [str(path) for path in sorted(root.glob("tests/**/test_*.py")) if "mark.gpu" in path.read_text("utf-8")]
    if not files:
        return {"tests_skipped": f"there are no tests under {root}"}
    command = [sys.executable, "-m", "pytest", "-m", "gpu", "-q", "-rA", "-p", "no:cacheprovider", *files]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False, timeout=LIMIT)
    outcomes = [match[0] for match in OUTCOME.finditer(done.stdout)]
    print(*outcomes, sep="\n", flush=True)
    if done.returncode:
        print(done.stdout[-6000:], done.stderr[-2000:], sep="\n", flush=True)
        raise RuntimeError(f"pytest ended with {done.returncode}: {(done.stdout.strip() or done.stderr)[-300:]}")
    return {"tests_passed": sum(outcome.startswith("PASSED") for outcome in outcomes)}
