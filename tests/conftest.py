"""Fixtures of all tests."""

import atexit
import gc
from collections.abc import Iterator

import jaxtyping
import pytest


def pytest_sessionstart(session: pytest.Session) -> None:
    """Imports what takes seconds, except in the process of pytest-xdist that only deals out the tests."""
    gc.disable()  # a third of the time of imports is spent on looking for garbage that they do not make
    deals = getattr(session.config.option, "numprocesses", None) and not hasattr(session.config, "workerinput")
    if not deals:
        import tests.helpers.third_party  # noqa: F401
        from tests.helpers.hydra_memory import remember

        remember()


def pytest_collection_finish(session: pytest.Session) -> None:
    """Takes what was imported, millions of objects, out of every further search for garbage."""
    gc.collect()
    gc.freeze()
    gc.enable()
    atexit.register(gc.unfreeze)  # else triton reports them as leaks


@pytest.fixture
def unchecked() -> Iterator[None]:
    """No shapes are checked: for what other tests call in every form, and is called ten thousand times here."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)
