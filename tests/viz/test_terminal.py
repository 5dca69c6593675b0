import re

import pytest
from rich.table import Table

from nave.viz.terminal import FittedTable, command, score_table, score_text, shortened, show

CONTROL = re.compile(r"\x1b\[[0-9;]*m")


def table(*cells):
    made = Table(*(f"column {number}" for number in range(len(cells))))
    made.add_row(*cells)
    return made


@pytest.fixture
def terminal(monkeypatch):
    """Standard output that counts as a narrow terminal."""
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.delenv("NO_COLOR", raising=False)


def colours(text):
    """Codes that set a colour; bold and faint are none."""
    return [code for code in re.findall(r"\x1b\[([0-9;]*)m", text) if re.search(r"(^|;)(3[0-8]|9[0-7])(;|$)", code)]


def test_a_log_has_no_control_codes_and_whole_lines(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    show(table("x" * 100, "y" * 100), "z" * 300)
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "x" * 100 in out
    assert "z" * 300 in out


def test_a_terminal_is_never_exceeded(terminal, capsys):
    show(table("x" * 100, "y" * 10))
    assert max(map(len, CONTROL.sub("", capsys.readouterr().out).splitlines())) <= 40


WIDE = ("efficientnet_lite0", "default", "5", "100", "62.0 (52.0 to 71.0)", "53.9 (44.0 to 63.2)", "12.25", "ok")


def sweep():
    made = FittedTable(expendable=["speed", "images", "nave"], kept_in="summary.csv")
    for heading in ("model", "training", "k", "images", "corloc", "nave", "speed", "status"):
        made.add_column(heading, justify="left" if heading in ("model", "training", "status") else "right")
    made.add_row(*WIDE)
    return made


@pytest.mark.parametrize(
    ("width", "whole", "left_out"),
    [
        (120, WIDE, None),
        (100, [text for cell in WIDE for text in cell.split(" (")], None),
        (80, ["efficientnet_lite0", "default", "62.0", "(52.0 to 71.0)", "53.9", "ok"], "speed, images;"),
        (64, ["efficientnet_lite0", "default", "62.0", "(52.0 to 71.0)", "ok"], "speed, images, nave;"),
    ],
)
def test_a_narrow_terminal_loses_columns_and_no_words(terminal, capsys, monkeypatch, width, whole, left_out):
    monkeypatch.setenv("COLUMNS", str(width))
    show(sweep())
    out = CONTROL.sub("", capsys.readouterr().out)
    assert max(map(len, out.splitlines())) <= width
    for text in whole:
        assert text in out
    assert ("left out" in out) == bool(left_out)
    if left_out:
        assert f"left out in {width} columns: {left_out} all are in summary.csv" in " ".join(out.split())


def test_a_heading_is_broken_only_where_it_is_wider_than_its_cells(terminal, capsys):
    made = FittedTable(expendable=["size"])
    for heading in ("image", "size", "box x1 y1 x2 y2", "images a second"):
        made.add_column(heading, justify="left" if heading == "image" else "right")
    made.add_row("photograph", "4032 x 3024", "1373 1096 2533", "0.1")
    show(made)
    lines = [line.strip("\u2503 ") for line in CONTROL.sub("", capsys.readouterr().out).splitlines()]
    assert "box x1 y1 x2" in " ".join(lines)
    assert not any("images a" in line for line in lines)


LONG = "outputs/encoders/resnet18-stl10-supervised-seed0-"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ((LONG + "weak-adamw", LONG + "strong-adamw", "dino"), ["\u2026weak-adamw", "\u2026strong-adamw", "dino"]),
        (("a" * 20 + "b" * 20,), ["a" * 15 + "\u2026" + "b" * 15]),
        (("a" * 16 + "b" + "a" * 16, "a" * 16 + "c" + "a" * 16), None),  # they differ in the middle alone
    ],
)
def test_long_words_are_shortened_unless_they_would_be_alike(words, expected):
    short = shortened(words)
    assert [short[word] for word in words] == (expected or [*words])


def test_long_names_leave_room_for_figures(terminal, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    made = FittedTable("training", expendable=["ap50"], kept_in="summary.csv")
    for heading in (f"{LONG}weak\nK 3", f"{LONG}strong\nK 3"):
        made.add_column(heading, justify="right")
    made.add_row(f"{LONG}weak", "62.0 (52.0 to 71.0)", "-")
    show(made)
    lines = CONTROL.sub("", capsys.readouterr().out).splitlines()
    assert max(map(len, lines)) <= 60
    assert "62.0" in "".join(lines)
    assert sum("\u2026strong" in line for line in lines) == 1


def test_the_terminal_itself_wraps_paths(terminal, capsys):
    show(table("cell"), f"written to {LONG}")
    assert capsys.readouterr().out.splitlines()[-1] == f"written to {LONG}"


def test_a_log_has_all_columns(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    show(sweep())
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "lite0" in line]
    assert all(text in line for text in WIDE)


def test_no_color_is_respected(terminal, capsys, monkeypatch):
    coloured = Table(title="scores")
    coloured.add_column("x", style="red")
    coloured.add_row("1")
    show(coloured)
    assert colours(capsys.readouterr().out)
    monkeypatch.setenv("NO_COLOR", "1")
    show(coloured)
    assert not colours(capsys.readouterr().out)


def test_names_are_printed_unchanged(capsys):
    show(table("[/] [red]a[/red] :smile:"), "[/b] :cat: /tmp/x.png")
    out = capsys.readouterr().out
    assert "[/] [red]a[/red] :smile:" in out
    assert "[/b] :cat: /tmp/x.png" in out


def test_every_k_has_a_column(capsys):
    score = {"value": 50.0, "low": 40.0, "high": 60.0, "images": 3}
    show(score_table("percent", {"k3": {"corloc": score}, "k10": {"corloc": score | {"value": 7.0}}}))
    out = capsys.readouterr().out
    assert out.index("k3") < out.index("k10")
    assert "50.0 (40.0 to 60.0)" in out


@command
def main(error: Exception | None = None) -> None:
    if error:
        raise error


@command
def failed() -> int:
    return 3


@pytest.mark.parametrize("error", [FileNotFoundError("no such run"), ValueError("k=0")])
def test_an_error_that_a_user_can_fix_is_one_line(error, capsys):
    assert main(error) == 1
    assert capsys.readouterr().err == f"error: {error}\n"


def test_a_command_returns_its_exit_code(capsys):
    assert main() == 0
    assert failed() == 3
    assert capsys.readouterr().err == ""


def test_bugs_keep_their_traceback():
    with pytest.raises(RuntimeError, match="a bug"):
        main(RuntimeError("a bug"))


def test_a_score_without_an_interval_is_its_value():
    assert score_text({"value": 11.74, "low": None, "high": None, "images": 3}) == "11.7"
    assert score_text({"value": None, "low": None, "high": None, "images": 0}) == "-"
