"""How members are run may be chosen by timing; what was chosen is kept."""

import contextlib
import dataclasses
import logging
from types import SimpleNamespace

import jax
import pytest

from normlab.members.placement import cores
from normlab.models import CONVS
from normlab.run_options import RunOptions
from normlab.settings.devices import CONV_FORMS
from normlab.store import RunPaths, metrics
from normlab.store.layout import read_json
from normlab.store.run import write_cell
from normlab.sweep import adapt, cell_plan, ways
from normlab.sweep import decide as deciding
from normlab.sweep.adapt import as_before, execution_record
from normlab.sweep.execute import run_cell
from normlab.sweep.plan import make_plan
from normlab.sweep.quiet import Spent, is_quiet, spent
from normlab.train.way import Way, candidates
from tests import tiny

RULE = Way("map", "direct")
OTHER = Way("vmap", "patches")


@pytest.fixture(autouse=True)
def eager(monkeypatch):
    """Even the shortest training is worth it."""
    monkeypatch.setattr(ways, "_LEAST_MEMBER_STEPS", 1)
    monkeypatch.setattr(ways, "_SHARE", 1e9)
    monkeypatch.setattr(ways, "_ROUND_SECONDS", 1e-4)
    monkeypatch.setattr(deciding, "is_quiet", lambda *_: True)
    with contextlib.ExitStack() as stack:
        for patch in tiny.models():
            stack.enter_context(patch)
        yield


def options(tmp_path, **changes) -> RunOptions:
    cache = str(tmp_path / "cache")
    settings = {"call_steps": 3, "devices": "1", "compilation_cache": cache}
    settings["member_chunk"] = "4"
    return RunOptions(**(settings | changes))


def plan_of(settings: RunOptions, **changes):
    config = tiny.sweep_config(
        dataset=("tiny",), model=("tiny",), init=("quick",), norm=("batch",),
        train_size=(24,), steps=4, eval_every=4, train_eval_size=24, **changes,
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

    def seconds(population, plan, settings):
        size = plan.member_chunk % len(plan.cell.members)
        ways = [w for w in times if w.execution == plan.execution]
        way = next((w for w in ways if w.at_once == size), ways[0])
        timed.append(way)
        population.start()
        if isinstance(times[way], BaseException):
            raise times[way]
        return times[way], 0.1

    monkeypatch.setattr(deciding, "seconds_of_step", seconds)
    return timed


def test_every_form_is_one_of_the_models():
    assert set(CONV_FORMS) == set(CONVS)


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
    assert "by timing an earlier cell" in plan.text(verbose=True)
    assert "earlier" not in told[0]
    later = execution_record(again)
    assert later["remembered"] == times and "timed" not in later
    # A resumed cell keeps what its own record says.
    resumed = execution_record(as_before(again, record, settings))
    assert resumed["timed"] == times and "remembered" not in resumed
    assert "by timing" in plan.text(verbose=True) and "by timing" not in plan_of(
        options(tmp_path, deterministic=True)
    )[0].text(verbose=True)


def test_the_way_found_trains_as_if_it_had_been_asked_for(tmp_path, monkeypatch):
    settings = options(tmp_path, compilation_cache="none")
    timed = faked(monkeypatch, {RULE: 1.0, OTHER: 0.5})
    record, table, _ = trained(plan_of(settings)[1], settings, tmp_path / "found")
    assert len(timed) == 3 and (record["execution"], record["conv"]) == OTHER[:2]
    asked = dataclasses.replace(settings, execution="vmap")
    other, same, said = trained(plan_of(asked)[1], asked, tmp_path / "asked")
    assert same is not None and same.equals(table) and not said and "timed" not in other
    assert (other["execution"], other["conv"]) == OTHER[:2]


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
    asked = dataclasses.replace(asked, member_chunk="auto")
    _, plan = plan_of(asked)
    assert plan.way == Way("map", "patches")
    # The times and the member chunk of another form do not.
    record |= {"conv": "direct", "member_chunk": 1, "timed": {str(RULE): 1.0}}
    assert plan.member_chunk > 1 and as_before(plan, record, asked) is plan
    same = as_before(plan, record | {"conv": "patches"}, asked)
    assert same.member_chunk == 1 and same.times == {RULE: 1.0}


@pytest.mark.parametrize(
    "changes",
    [
        {"deterministic": True, "member_chunk": "auto"},
        {"execution": "vmap"},
        {"execution": "map", "conv": "direct", "member_chunk": "auto"},
        {"execution": "loop"},
    ],
)
def test_what_is_settled_is_not_timed(tmp_path, changes):
    _, plan = plan_of(options(tmp_path, **changes))
    assert not plan.is_open


def test_a_cell_killed_while_it_is_timed_decides_again(tmp_path, monkeypatch):
    settings = options(tmp_path, compilation_cache="none")
    whole = tmp_path / "whole"
    faked(monkeypatch, {RULE: 1.0, OTHER: 0.5})
    once = trained(plan_of(settings)[1], settings, whole)
    faked(monkeypatch, {RULE: 1.0, OTHER: KeyboardInterrupt()})
    _, plan = plan_of(settings)
    with pytest.raises(KeyboardInterrupt):
        trained(plan, settings, tmp_path / "killed")
    paths = RunPaths.at(tmp_path / "killed").cell(plan.cell.id)
    assert read_json(paths.config)["execution"] == "undecided"
    faked(monkeypatch, {RULE: 1.0, OTHER: 0.5})
    again = trained(plan_of(settings)[1], settings, tmp_path / "killed")
    assert (again[0]["execution"], again[0]["conv"]) == OTHER[:2]
    assert again[1] is not None and again[1].equals(once[1])


def test_a_way_that_is_not_worth_timing_is_recorded_too(tmp_path, monkeypatch):
    monkeypatch.setattr(ways, "_SHARE", 0.0)
    settings = options(tmp_path)
    _, plan = plan_of(settings)
    assert plan.is_open
    record, _, told = trained(plan, settings, tmp_path / "run")
    assert (record["execution"], record["conv"]) == RULE[:2]
    assert not told and "timed" not in record


def test_a_cell_with_checkpoints_is_not_timed_any_more(tmp_path, monkeypatch):
    """Not even if its record, of an earlier revision, has no way."""
    timed = faked(monkeypatch, {RULE: 1.0, OTHER: 0.5})
    settings = options(tmp_path, deterministic=True, compilation_cache="none")
    _, plan = plan_of(settings)
    trained(plan, settings, tmp_path / "run")
    paths = RunPaths.at(tmp_path / "run").cell(plan.cell.id)
    write_cell(paths, plan.cell, "running")
    settings = dataclasses.replace(settings, deterministic=False)
    _, plan = plan_of(settings)
    assert plan.is_open
    record, _, _ = trained(plan, settings, tmp_path / "run")
    assert not timed and (record["execution"], record["conv"]) == RULE[:2]


def test_a_way_that_fails_is_left_out(tmp_path, monkeypatch, caplog):
    broken = jax.errors.JaxRuntimeError("INTERNAL: autotuning failed")
    timed = faked(monkeypatch, {RULE: 1.0, OTHER: broken})
    settings = options(tmp_path, compilation_cache="none")
    record, table, _ = trained(plan_of(settings)[1], settings, tmp_path / "run")
    assert timed == [RULE, RULE, OTHER] and (record["execution"]) == "map"
    assert set(record["timed"]) == {str(RULE), "map with patches"}
    assert table is not None and "autotuning failed" in caplog.text
    # The rule's own failure is the cell's.
    faked(monkeypatch, {RULE: broken, OTHER: 1.0})
    with pytest.raises(jax.errors.JaxRuntimeError, match="autotuning"):
        trained(plan_of(settings)[1], settings, tmp_path / "other")


def test_one_copy_of_the_data_is_alive_while_ways_are_timed(tmp_path, monkeypatch):
    settings = options(tmp_path, compilation_cache="none")
    _, plan = plan_of(settings)
    shape, counts = plan.dataset.train_x.shape, []

    def copies() -> int:
        return sum(x.shape == shape for x in jax.live_arrays() if not x.is_deleted())

    before, real = copies(), deciding.seconds_of_step

    def seconds(*arguments):
        found = real(*arguments)
        counts.append(copies() - before)
        return found

    monkeypatch.setattr(deciding, "seconds_of_step", seconds)
    _, population = deciding.decide(plan, settings)
    assert counts == [1, 1, 1] and copies() - before == 1
    del population
    assert copies() == before


def test_on_a_busy_cpu_the_rule_counts(tmp_path, monkeypatch, caplog):
    """A sweep once took a way of 13 ms for one of 5, because others ran meanwhile."""
    faked(monkeypatch, {RULE: 1.0, OTHER: 0.5})
    settings = options(tmp_path)
    monkeypatch.setattr(deciding, "is_quiet", lambda *_: False)
    record, _, _ = trained(plan_of(settings)[1], settings, tmp_path / "run")
    assert f"{record['execution']} with {record['conv']}" == str(RULE)
    assert "timed" not in record and plan_of(settings)[1].is_open
    assert f"other programs use the cores, so times say nothing; it runs by {RULE}" in (
        caplog.text
    )


def test_what_others_do_on_the_cores_says_nothing_of_a_gpu(tmp_path, monkeypatch):
    """So its times count, but they are not kept."""
    faked(monkeypatch, {RULE: 1.0, OTHER: 0.5})
    settings = options(tmp_path)
    monkeypatch.setattr(deciding, "is_quiet", lambda *_: False)
    monkeypatch.setattr(deciding, "platform_here", lambda: "gpu")
    record, _, _ = trained(plan_of(settings)[1], settings, tmp_path / "run")
    assert record["execution"] == "vmap" and "timed" in record
    assert plan_of(settings)[1].is_open


def test_the_time_of_other_programs_counts():
    start = Spent(clock=10.0, all=100.0, own=5.0)
    after = start._replace
    busy = 2 * cores()
    assert is_quiet(start, after(clock=12.0, all=100.0 + busy, own=5.0 + busy))
    assert is_quiet(start, after(clock=12.0, all=100.0 + 0.09 * busy, own=5.0))
    assert not is_quiet(start, after(clock=12.0, all=100.0 + 0.11 * busy, own=5.0))
    now = spent()
    assert now.all >= 0 and now.own > 0 and now.clock <= spent().clock


def test_kept_times_count_only_among_the_ways_that_are_allowed(tmp_path):
    settings = options(tmp_path)
    _, plan = plan_of(settings)
    folder = tmp_path / "cache"
    kept = {RULE: 1.0, OTHER: 0.5}
    ways.remember(plan.cell, settings, folder, kept)
    assert ways.remembered(plan.cell, settings, folder) == kept
    for wrong in ({Way("vmap", "lax"): 1.0}, {RULE: 1.0, Way("map", "lax"): 0.5}):
        ways.remember(plan.cell, settings, folder, wrong)
        assert ways.remembered(plan.cell, settings, folder) == {}


def test_kept_times_are_those_of_the_same_program(tmp_path):
    """Members that share a seed are another program, and so are longer calls."""
    settings = options(tmp_path)
    _, plan = plan_of(settings, lr=(1e-3, 1e-2, 1e-1), num_seeds=1)
    _, other = plan_of(settings, lr=(1e-3,), num_seeds=3)
    assert len(plan.cell.members) == len(other.cell.members) == 3
    ways.remember(plan.cell, settings, tmp_path, {RULE: 1.0})
    assert ways.remembered(plan.cell, settings, tmp_path) == {RULE: 1.0}
    assert ways.remembered(other.cell, settings, tmp_path) == {}
    longer = dataclasses.replace(settings, call_steps=4)
    assert ways.remembered(plan.cell, longer, tmp_path) == {}


def test_kept_times_end_with_the_versions(tmp_path, monkeypatch):
    settings = options(tmp_path)
    _, plan = plan_of(settings)
    ways.remember(plan.cell, settings, tmp_path, {RULE: 1.0})
    assert ways.remembered(plan.cell, settings, tmp_path)
    newer = ways.versions() | {"jax": "99"}
    monkeypatch.setattr(ways, "versions", lambda: newer)
    assert ways.remembered(plan.cell, settings, tmp_path) == {}


@pytest.mark.parametrize(
    "stored", [None, 3, [1], [["map", 1]], [["a with b", "x"]], [["a of b with c", 1]]]
)
def test_damaged_times_are_none(stored):
    assert ways.read_times(stored) == {}


def test_a_cell_of_a_cpu_goes_on_as_it_suits_a_gpu(tmp_path, monkeypatch, caplog):
    settings = options(tmp_path)
    record = execution_record(plan_of(settings)[1])
    record |= {"execution": "map", "conv": "direct"}
    for module in (adapt, cell_plan, ways):
        monkeypatch.setattr(module, "platform_here", lambda: "gpu")
    _, plan = plan_of(settings)
    with caplog.at_level(logging.WARNING):
        assert as_before(plan, record, settings).way == plan.way == OTHER
    assert "map with direct, which is slow on a gpu" in caplog.text


@pytest.mark.parametrize("conv", ["pallas", "lax"])
def test_a_cell_of_a_gpu_goes_on_as_it_suits_a_cpu(conv, tmp_path, caplog):
    settings = options(tmp_path)
    _, plan = plan_of(settings)
    record = execution_record(plan) | {"execution": "vmap", "conv": conv}
    with caplog.at_level(logging.WARNING):
        assert as_before(plan, record, settings).way == plan.way
    assert f"vmap with {conv}, which is slow on a cpu" in caplog.text
    asked = dataclasses.replace(settings, conv=conv, execution="vmap")
    _, plan = plan_of(asked)
    assert as_before(plan, record, asked).way == Way("vmap", conv)


def test_a_short_training_is_not_worth_it(tmp_path, monkeypatch):
    settings = options(tmp_path)
    _, plan = plan_of(settings)
    monkeypatch.setattr(ways, "_SHARE", 0.05)
    monkeypatch.setattr(ways, "_ROUND_SECONDS", 0.2)
    long = dataclasses.replace(
        plan.cell, config=dataclasses.replace(plan.cell.config, steps=20_000)
    )
    # Two others, at 3 s of compiling and 0.6 s of timing each, and 3 s of compiling
    # the chosen one, are 5 % of 204 s.
    others = ways.others(settings)
    assert not ways.is_worth_it(plan.cell, 0.011, 3.0, others)
    assert ways.is_worth_it(long, 0.011, 3.0, others)
    assert not ways.is_worth_it(long, 0.0095, 3.0, others)
    assert not ways.is_worth_it(long, 0.011, 3.0, others + 1)


def test_another_way_has_to_be_clearly_faster():
    assert ways.best_of({RULE: 1.0, OTHER: 0.98}) == RULE
    assert ways.best_of({RULE: 1.0, OTHER: 0.9}) == OTHER
    assert ways.best_of({OTHER: 1.0, RULE: 0.98}) == OTHER
    half = OTHER._replace(at_once=2)
    assert ways.best_of({RULE: 1.0, OTHER: 0.9, half: 0.89}) == OTHER
    assert ways.best_of({RULE: 1.0, OTHER: 0.98, half: 0.96}) == half


def test_fewer_members_at_once_are_timed_while_that_is_faster(tmp_path, monkeypatch):
    """Eight members, then four, then two; one at a time is left to map."""
    none = SimpleNamespace(start=lambda: None)
    monkeypatch.setattr(deciding, "make_population", lambda *_: none)
    eight = {"lr": (1e-3, 2e-3, 3e-3, 4e-3)}
    sizes = [OTHER, OTHER._replace(at_once=4), OTHER._replace(at_once=2)]
    for ms, best, count in [
        ((0.5, 0.4, 0.3), 2, 5),
        ((0.5, 0.4, 0.39), 4, 5),
        ((0.5, 0.5, 0.3), 8, 4),
        ((2.0, 0.1, 0.1), 8, 3),  # vmap is slower
    ]:
        folder = tmp_path / str(best) / str(count)
        settings = options(folder, member_chunk="auto")
        times = {RULE: 1.0, **dict(zip(sizes, ms, strict=True))}
        timed = faked(monkeypatch, times)
        found, _ = deciding.decide(plan_of(settings, **eight)[1], settings)
        record = execution_record(found)
        assert len(timed) == count and record["member_chunk"] == best
        plan, again = plan_of(settings, **eight)
        assert again.member_chunk == best and len(again.times) == count
        if best < 8:
            assert f"vmap of {best} with patches, by timing:" in found.choice
            assert f"{best} at once" in again.line
            assert "faster, by timing" in plan.text(verbose=True)
        # A resumed cell keeps what it had, whatever is known now.
        other = record | {"member_chunk": 4}
        assert as_before(again, other, settings).member_chunk == 4
    # A failure of a smaller size costs nothing.
    broken = jax.errors.JaxRuntimeError("INTERNAL: autotuning failed")
    faked(monkeypatch, {RULE: 1.0, OTHER: 0.5, sizes[1]: broken})
    settings = options(tmp_path / "broken", member_chunk="auto")
    found, _ = deciding.decide(plan_of(settings, **eight)[1], settings)
    assert (found.execution, found.member_chunk) == ("vmap", 8)


def test_memory_bounds_the_members_at_once(tmp_path):
    settings = options(tmp_path, member_chunk="auto", execution="vmap")
    _, plan = plan_of(settings)
    assert plan.is_open and plan.again is not None and plan.member_chunk == 4
    assert plan.again(OTHER._replace(at_once=2)).member_chunk == 2
    assert plan.again(OTHER._replace(at_once=8)).member_chunk == 4


@pytest.mark.parametrize(
    ("way", "at_once", "members", "devices", "half"),
    [
        (OTHER, 8, 8, 1, 4),
        (OTHER, 5, 5, 1, 3),
        (OTHER, 2, 2, 1, None),
        (OTHER, 8, 8, 2, 4),
        (OTHER, 4, 4, 2, None),
        (OTHER, 12, 12, 4, 8),
        (OTHER, 34, 100, 1, 17),  # three turns, then six
        (RULE, 8, 8, 1, None),
    ],
)
def test_half_of_the_members(way, at_once, members, devices, half, tmp_path):
    settings = options(tmp_path, member_chunk="auto")
    found = ways.half_at_once(way, at_once, members, devices, settings)
    assert found == (half and way._replace(at_once=half))
    asked = options(tmp_path)
    assert ways.half_at_once(way, at_once, members, devices, asked) is None


def test_moving_the_states_counts_as_often_as_it_happens(monkeypatch):
    """A call costs 1 s, and a step 0.1 s: 0.11 s each in calls of 100 steps."""
    monkeypatch.setattr(ways, "_timed", lambda train, count: 1.0 + 0.1 * count)
    monkeypatch.setattr(ways, "_ROUND_SECONDS", 0.2)
    assert ways.seconds_in_turns(lambda *_: None, 100) == pytest.approx(0.11)
    assert ways.seconds_in_turns(lambda *_: None, 1) == pytest.approx(1.1)
    assert ways.seconds_of(lambda *_: None, 100) == pytest.approx(1.1)
