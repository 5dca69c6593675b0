"""The command ``nave``, and what its commands answer without torch."""

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from nave.__main__ import COMMANDS, main
from nave.command_line.help import FOOT, help_text


def test_every_command_exists_and_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    told = capsys.readouterr().out
    for name, says in COMMANDS.items():
        assert find_spec(f"nave.{name}")
        assert f"nave {name} " in told
        assert says in told


def test_help_fits_eighty_columns(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--help"])
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 80
    assert max(map(len, FOOT.splitlines())) <= 80


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("nave 0.")


def test_an_unknown_command_is_named_with_what_was_meant(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rnu"]) == 2
    assert "there is no nave rnu. Did you mean nave run?" in capsys.readouterr().err


BEGIN = """
import sys; sys.path.insert(0, {folder!r})
from nave.__main__ import main
"""


def without_torch(folder: Path, program: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """``program`` in a process of its own, in which torch cannot be imported; ``main`` is that of nave."""
    (folder / "torch.py").write_text("raise SystemExit('torch was imported')")
    return subprocess.run(
        [sys.executable, "-c", BEGIN.format(folder=str(folder)) + program, *arguments],
        env={"PYTHONPATH": str(Path(__file__).parents[1]), "COMP_LINE": "nave model=", "PATH": ""},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


ANSWERED = [
    (["run", "modle=vits14"], 1, "Did you mean model?"),
    (["run", "-m", "k=3,5", "model=vits14,vits15"], 1, "there is no model=vits15"),
    (["run", "model=timm", "architecture=resnt50"], 1, "Did you mean architecture=resnet50?"),
    (["run", "trainer.devices=two", "data=voc07"], 1, "trainer.devices=two: give a number"),
    (["run", "data=voc07"], 1, "VOC2007 not found; looked in nowhere"),
    (["run", "--help"], 0, "Keys:"),
    (["run", "-sc", "query=bash"], 0, "model=vits14"),
]
EACH_IN_A_FORK = """
import json, os
import nave.command_line.overrides  # once, what takes most of the time

for number, arguments in enumerate(json.loads(sys.argv.pop())):
    if not (child := os.fork()):
        for output in (1, 2):
            os.dup2(os.open(f"{number}.txt", os.O_CREAT | os.O_WRONLY | os.O_APPEND), output)
        sys.argv[1:] = arguments
        main()
        sys.exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_the_command_line_is_answered_without_torch_and_without_a_folder(tmp_path: Path) -> None:
    done = without_torch(tmp_path, EACH_IN_A_FORK, json.dumps([arguments for arguments, _, _ in ANSWERED]))
    answers = [(tmp_path / f"{number}.txt").read_text() for number in range(len(ANSWERED))]
    for code, answer, (arguments, expected, told) in zip(done.stdout.split(), answers, ANSWERED, strict=True):
        assert (int(code), told in answer) == (expected, True), (arguments, answer)
    assert {path.name for path in tmp_path.iterdir() if path.suffix != ".txt"} <= {"torch.py", "__pycache__"}


def test_no_help_waits_for_torch(tmp_path: Path) -> None:
    names = [*COMMANDS]
    program = (
        f"for name in {names}:\n"
        "    try:\n        main([name, '--help'])\n"
        "    except SystemExit as end:\n        assert end.code == 0, (name, end.code)\n"
    )
    done = without_torch(tmp_path, program)
    assert (done.returncode, done.stderr) == (0, "")
    for name in names:
        assert f"python -m nave.{name}" in done.stdout or f"nave {name}: " in done.stdout


def test_help_begins_with_what_the_command_does_and_has_every_key_and_its_own_groups() -> None:
    run, train = help_text("config"), help_text("train")
    assert run.startswith("nave run: explains images")
    assert train.startswith("nave train: trains an encoder")
    for text in (run, train):
        assert text[: text.index("Keys:")].count("\n  nave ") == 3
    assert "  k: 5                          clusters: a number" in run
    assert "  model           convnext_t, " in run
    assert "[vits14]" in run
    assert "augmentation" in train
    for group in ("augmentation", "optimizer", "recipe", "scheme"):
        assert f"\n  {group} " in train
        assert f"\n  {group} " not in run


def test_help_describes_a_choice() -> None:
    text = help_text("config", ["data=folder", "k=5"])
    assert text.startswith("data=folder: Any image files under data.root")
    assert "  root: null " in text
