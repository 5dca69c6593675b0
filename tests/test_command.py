import pytest

from nave.command import command


@command
def main(fault: Exception | None = None) -> None:
    if fault:
        raise fault


@command
def failed() -> int:
    return 3


@pytest.mark.parametrize("fault", [FileNotFoundError("no such run"), ValueError("k=0")])
def test_what_a_person_can_cure_is_one_line(fault, capsys):
    assert main(fault) == 1
    assert capsys.readouterr().err == f"error: {fault}\n"


def test_a_command_that_ends_well_or_says_how_it_ended(capsys):
    assert main() == 0
    assert failed() == 3
    assert capsys.readouterr().err == ""


def test_faults_of_the_package_are_not_hidden():
    with pytest.raises(RuntimeError, match="a bug"):
        main(RuntimeError("a bug"))
