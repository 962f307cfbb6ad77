"""Figures are drawn in several processes where they are many: the same ones."""

import os
import signal
from concurrent.futures import ProcessPoolExecutor

import pytest

from normlab.errors import UserError
from normlab.figures import Sources
from normlab.page import drawn


@pytest.fixture(params=[2])
def begun(request, monkeypatch) -> list:
    """How processes were begun; for pages of two figures, drawn by so many."""
    found = []

    def processes(workers: int, context) -> ProcessPoolExecutor:
        found.append((workers, context.get_start_method()))
        return ProcessPoolExecutor(request.param, context)

    monkeypatch.setattr(drawn, "ProcessPoolExecutor", processes)
    monkeypatch.setattr(drawn, "cores", lambda: 2)
    wanted = ["curves", "lr_sensitivity"]
    monkeypatch.setattr(drawn, "candidates", lambda sources: wanted)
    return found


@pytest.mark.slow
def test_processes_draw_what_one_draws(plain, begun, monkeypatch):
    with drawn.drawing([Sources(plain)]) as figures:
        alone = list(figures)
    assert begun == [] and [len(own) for own in alone] == [2]
    assert [figure.name for figure in alone[0]] == ["curves", "lr_sensitivity"]
    monkeypatch.setattr(drawn, "_WORTH", 1)
    with drawn.drawing([Sources(plain)]) as figures:
        assert list(figures) == alone
    assert begun == [(2, "spawn")]


# One process is as good as two, and begins in half the time.
one = pytest.mark.parametrize("begun", [1], indirect=True)


@one
def test_an_error_of_a_process_is_that_of_the_run(plain, begun, monkeypatch):
    monkeypatch.setattr(drawn, "_WORTH", 1)
    (metrics,) = sorted(plain.glob("cells/*/metrics*/*.parquet"))[:1]
    whole = metrics.read_bytes()
    metrics.write_bytes(whole[:-10])
    try:
        with (
            drawn.drawing([Sources(plain)]) as figures,
            pytest.raises(UserError, match="damaged"),
        ):
            list(figures)
    finally:
        metrics.write_bytes(whole)
    assert begun == [(2, "spawn")]


def killed(run: str, name: str) -> None:
    """In place of a figure, as the kernel does where memory runs out."""
    os.kill(os.getpid(), signal.SIGKILL)


@one
def test_a_process_that_is_killed_is_one_line(plain, begun, monkeypatch):
    monkeypatch.setattr(drawn, "_WORTH", 1)
    monkeypatch.setattr(drawn, "_drawn_of", killed)
    with (
        pytest.raises(UserError, match="was killed"),
        drawn.drawing([Sources(plain)]) as figures,
    ):
        list(figures)
