"""The tiny network is known by name, programs are compiled once, faults are counted."""

from collections import Counter

import pytest

from tests.shared import programs_compiled_once, tiny_by_name  # noqa: F401

_TALLY: Counter[str] = Counter()


@pytest.fixture(scope="session")
def tally() -> Counter[str]:
    """What was injected, by kind; shown after the tests."""
    return _TALLY


def pytest_terminal_summary(terminalreporter) -> None:
    if _TALLY:
        said = ", ".join(f"{count} {what}" for what, count in sorted(_TALLY.items()))
        terminalreporter.write_line(f"faults injected: {said}")
