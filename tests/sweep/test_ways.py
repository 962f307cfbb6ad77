"""How members are run may be chosen by timing; what was chosen is kept."""

import contextlib
import dataclasses

import numpy as np
import pytest

from normlab.members.over import Way, candidates
from normlab.models import CONVS
from normlab.run_options import RunOptions
from normlab.settings.devices import CONV_FORMS
from normlab.store import RunPaths, metrics
from normlab.store.layout import read_json
from normlab.sweep import decide as deciding
from normlab.sweep import ways
from normlab.sweep.adapt import as_before, execution_record
from normlab.sweep.execute import run_cell
from normlab.sweep.plan import make_plan
from tests import tiny

RULE = Way("map", "direct")
OTHER = Way("vmap", "patches")


@pytest.fixture(autouse=True)
def eager(monkeypatch):
    """Even the shortest training is worth it."""
    monkeypatch.setattr(ways, "_LEAST_MEMBER_STEPS", 1)
    monkeypatch.setattr(ways, "_SHARE", 1e9)
    monkeypatch.setattr(ways, "_ROUND_SECONDS", 1e-4)
    with contextlib.ExitStack() as stack:
        for patch in tiny.models():
            stack.enter_context(patch)
        yield


def options(tmp_path, **changes) -> RunOptions:
    cache = str(tmp_path / "cache")
    settings = {"call_steps": 3, "devices": "1", "compilation_cache": cache}
    return RunOptions(**(settings | changes))


def plan_of(settings: RunOptions):
    config = tiny.sweep_config(
        dataset=("tiny",), model=("tiny",), init=("quick",), norm=("batch",),
        train_size=(24,), steps=4, eval_every=4, train_eval_size=24,
    )  # fmt: skip
    plan = make_plan(config, settings)
    return plan, plan.cells[0].now()


class Told(tiny.Silent):
    def __init__(self):
        super().__init__()
        self.lines = []

    def chose(self, text):
        self.lines.append(text)


def trained(plan, settings, root):
    """(the record, the metrics, what was said) of a cell that was run."""
    paths, told = RunPaths.at(root).cell(plan.cell.id), Told()
    run_cell(plan, paths, settings, told)
    table = metrics.read_parts(paths.metrics, plan.cell.config.steps)
    return read_json(paths.config), table, told.lines


def faked(monkeypatch, times):
    """What timing finds; returns the ways that were timed."""
    timed = []

    def seconds(population, settings):
        way = next(w for w in times if w.execution == population._execution)
        timed.append(way)
        population.start()
        return times[way], 0.1

    monkeypatch.setattr(deciding, "_seconds", seconds)
    return timed


def test_every_form_is_one_of_the_models():
    assert set(CONV_FORMS) == set(CONVS) - {"forward"}


def test_every_way_is_timed_and_the_fastest_recorded(tmp_path):
    settings = options(tmp_path)
    plan, cell_plan = plan_of(settings)
    assert cell_plan.is_open and cell_plan.way == RULE and not cell_plan.times
    record, _, told = trained(cell_plan, settings, tmp_path / "run")
    times = record["timed"]
    assert set(times) == {str(w) for w in candidates("auto", "auto", "cpu")}
    chosen = f"{record['execution']} with {record['conv']}"
    fastest = min(times, key=times.__getitem__)
    assert times[chosen] <= times[fastest] / (1 - 2 * ways._GAIN)
    assert len(told) == 1 and chosen in told[0] and "ms per member" in told[0]
    # The next plan knows, and says so.
    plan, again = plan_of(settings)
    assert str(again.way) == chosen and not again.is_open
    assert (
        "by timing" in plan.text
        and "by timing" not in plan_of(options(tmp_path, deterministic=True))[0].text
    )


def test_the_way_found_trains_as_if_it_had_been_asked_for(tmp_path, monkeypatch):
    settings = options(tmp_path, compilation_cache="none")
    timed = faked(monkeypatch, {RULE: 1.0, OTHER: 0.5})
    record, table, _ = trained(plan_of(settings)[1], settings, tmp_path / "found")
    assert len(timed) == 3 and (record["execution"], record["conv"]) == OTHER
    asked = dataclasses.replace(settings, execution="vmap")
    other, same, said = trained(plan_of(asked)[1], asked, tmp_path / "asked")
    assert same is not None and same.equals(table) and not said and "timed" not in other
    assert (other["execution"], other["conv"]) == OTHER


def test_a_resumed_cell_keeps_its_way(tmp_path, monkeypatch):
    timed = faked(monkeypatch, {RULE: 1.0, OTHER: 0.5})
    settings = options(tmp_path, compilation_cache="none")
    _, plan = plan_of(settings)
    record = execution_record(plan) | {"execution": "vmap", "conv": "patches"}
    before = as_before(plan, record, settings)
    assert before.way == OTHER and not before.is_open and not timed
    # A run of an earlier revision has no form in its record.
    del record["conv"]
    assert as_before(plan, record, settings).way == OTHER
    record["execution"] = "map"
    assert as_before(plan, record, settings).way == RULE
    # What the flags say counts more.
    asked = dataclasses.replace(settings, execution="map", conv="patches")
    _, plan = plan_of(asked)
    assert as_before(plan, record, asked).way == Way("map", "patches")


@pytest.mark.parametrize(
    "changes", [{"deterministic": True}, {"execution": "vmap"}, {"execution": "loop"}]
)
def test_what_is_settled_is_not_timed(tmp_path, changes):
    _, plan = plan_of(options(tmp_path, **changes))
    assert not plan.is_open


def test_a_short_training_is_not_worth_it(tmp_path, monkeypatch):
    settings = options(tmp_path)
    _, plan = plan_of(settings)
    monkeypatch.setattr(ways, "_SHARE", 0.05)
    monkeypatch.setattr(ways, "_ROUND_SECONDS", 0.2)
    long = dataclasses.replace(
        plan.cell, config=dataclasses.replace(plan.cell.config, steps=20_000)
    )
    # Two others, at 3 s of compiling and 0.6 s of timing each, are 5 % of 144 s.
    assert not ways.is_worth_it(plan.cell, settings, 0.01, 3.0)
    assert ways.is_worth_it(long, settings, 0.01, 3.0)
    assert not ways.is_worth_it(long, settings, 0.006, 3.0)


def test_another_way_has_to_be_clearly_faster():
    assert ways.best_of({RULE: 1.0, OTHER: 0.98}) == RULE
    assert ways.best_of({RULE: 1.0, OTHER: 0.9}) == OTHER
    assert ways.best_of({OTHER: 1.0, RULE: 0.98}) == OTHER
    np.testing.assert_array_less(ways._GAIN, 0.05)
