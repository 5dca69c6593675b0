"""Errors of other processes keep their traceback."""

import pickle

import pytest

from nave.processes.serving import noted


def test_a_traceback_travels_as_a_note() -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        divided(1)
    again = pickle.loads(pickle.dumps(noted(caught.value)))
    assert isinstance(again, ZeroDivisionError)
    assert "in divided" in again.__notes__[0]


def divided(number: int) -> float:
    return number / 0
