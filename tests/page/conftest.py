"""Pages of made-up runs, with a made-up ledger."""

import math
from collections.abc import Callable

import pytest

from normlab.claims import Verdict
from normlab.figures import FIGURES
from normlab.page import document
from tests.figures import made
from tests.page.bare import no_figures
from tests.store.handmade import make_cell, write_run

NAN = math.nan
DRAWN = {"curves", "lr_sensitivity", "santurkar_4"}  # each costs a second


def verdict(id: str, kind: str = "supported", **changes) -> Verdict:
    """A claim that was measured."""
    row = Verdict(
        id=id,
        sentence=f"sentence of {id}",
        source="a source",
        family="a family",
        verdict=kind,
        words=kind,
        adjusted="",
        statistic="a statistic",
        unit="nats",
        estimate=0.0831,
        low=0.0712,
        high=0.0949,
        n=5,
        level=0.95,
        p=0.004,
        p_no_difference=NAN,
        p_adjusted=NAN,
        check="",
        images="",
        low_images=NAN,
        high_images=NAN,
        exploratory=False,
        seeds_needed=NAN,
        member_steps=NAN,
        cpu_seconds=NAN,
        gpu_seconds=NAN,
        rule=f"rule of {id}",
        version="2 (0123456789)",
        needs=("a run",),
        missing=(),
        runs=(),
        note="",
        claim=id.partition(".")[0],
    )
    return row._replace(**changes)


LEDGER = [
    verdict("C1", runs=("plain",)),
    verdict("C1.1", sentence="sentence of C1", statistic="another statistic"),
    verdict("C1.2", "contradicted", runs=("elsewhere",), note="a note of C1.2"),
    verdict("C2", "contradicted"),
    verdict(
        "C10",
        "undecided",
        estimate=NAN,
        low=NAN,
        high=NAN,
        n=0,
        level=NAN,
        p=NAN,
        missing=("three seeds of group norm",),
    ),
]


@pytest.fixture(scope="session")
def plain(tmp_path_factory):
    """A run of three norms and two rates, with a quantity."""
    folder = tmp_path_factory.mktemp("runs") / "plain"
    return made.write(folder, made.RUNS["plain"], ("effective_smoothness",)).root


@pytest.fixture(scope="session")
def whole(plain, tmp_path_factory) -> str:
    """The page of that run and of one that is unfinished, with some figures."""
    folder = tmp_path_factory.mktemp("runs") / "other"
    cells = [make_cell(dataset="cifar10", batch_size=size) for size in (10, 50)]
    write_run(folder, cells, until={cells[1].id: 13})
    with pytest.MonkeyPatch.context() as patch:
        for name in set(FIGURES) - DRAWN:
            patch.delitem(FIGURES, name)
        patch.setattr(document, "ledger", lambda runs: LEDGER)
        return document.render([plain, folder])


@pytest.fixture
def bare(monkeypatch) -> Callable[..., str]:
    """Renders pages without figures, which cost seconds."""
    no_figures(monkeypatch)

    def render(*runs, ledger=()) -> str:
        monkeypatch.setattr(document, "ledger", lambda runs: list(ledger))
        return document.render(runs)

    return render
