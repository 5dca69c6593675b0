"""Errors of other processes keep their traceback."""

import pickle

from nave.processes.serving import noted


def test_a_traceback_travels_as_a_note() -> None:
    try:
        raise ValueError("what happened")
    except ValueError as error:
        again = pickle.loads(pickle.dumps(noted(error)))
    assert isinstance(again, ValueError)
    assert "in test_a_traceback_travels_as_a_note" in again.__notes__[0]
