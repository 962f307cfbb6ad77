"""The tiny network is known by name, programs are compiled once, faults are counted."""

import contextlib
from collections import Counter

import jax
import pytest

from tests.compiled_once import compiled_once
from tests.landscape import made

_TALLY: Counter[str] = Counter()


@pytest.fixture(scope="session")
def tally() -> Counter[str]:
    """What was injected, by kind; shown after the tests."""
    return _TALLY


def pytest_terminal_summary(terminalreporter) -> None:
    if _TALLY:
        said = ", ".join(f"{count} {what}" for what, count in sorted(_TALLY.items()))
        terminalreporter.write_line(f"faults injected: {said}")


@pytest.fixture(scope="package", autouse=True)
def _compiled_once(tmp_path_factory):
    jax.devices()  # before a command could choose how many there are
    with compiled_once(str(tmp_path_factory.mktemp("compiled"))):
        yield


@pytest.fixture(scope="package", autouse=True)
def _tiny():
    with contextlib.ExitStack() as stack:
        for patch in made.models():
            stack.enter_context(patch)
        yield
