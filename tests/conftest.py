"""Fixtures of all tests."""

from collections.abc import Iterator

import jaxtyping
import pytest


def pytest_sessionstart(session: pytest.Session) -> None:
    """Imports what takes seconds, except in the process of pytest-xdist that only deals out the tests."""
    deals = getattr(session.config.option, "numprocesses", None) and not hasattr(session.config, "workerinput")
    if not deals:
        import tests.helpers.third_party  # noqa: F401


@pytest.fixture
def unchecked() -> Iterator[None]:
    """No shapes are checked: for what other tests call in every form, and is called ten thousand times here."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)
