"""Warm-ups and turns, by a clock that moves as the contenders say."""

import pytest

from normlab.bench import timing
from tests.bench.small import Clock, fake


@pytest.fixture
def clock(monkeypatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(timing.time, "perf_counter", found)
    return found


def test_a_reset_is_not_timed(clock):
    seconds, losses = timing.timed_run(fake(clock, step=2.0), 3)
    assert seconds == 6.0 and losses.shape == (2, 3)


def test_parts_are_reset_and_timed_one_after_another(clock):
    log: list = []
    seconds, losses = timing.timed_run(
        fake(clock, step=2.0, parts=2, log=log, name="a"), 3
    )
    assert seconds == 12.0 and losses.shape == (2, 3)
    assert log == [
        ("a", "reset", 0),
        ("a", "train", 3),
        ("a", "reset", 1),
        ("a", "train", 3),
    ]


def test_warm_up_tells_compilation_from_steps(clock):
    found = timing.warm_up(fake(clock, step=2.0, compiling=100.0), 50)
    assert found.compile_seconds == pytest.approx(100.0)
    assert found.ms == pytest.approx(1e3 * 2.0 / 2)  # two members
    assert found.losses.shape == (2, 11)  # up to the loss after ten updates


def test_a_contender_that_knows_its_compilation_is_asked(clock):
    contender = fake(clock, step=2.0, compiling=100.0, compile_seconds=lambda: 7.0)
    assert timing.warm_up(contender, 50).compile_seconds == 7.0


def test_a_short_task_warms_up_within_its_steps(clock):
    assert timing.warm_up(fake(clock, step=1.0), 4).losses.shape == (2, 4)


def test_compile_seconds_are_never_negative(clock):
    slower_later = fake(clock, step=1.0, compiling=-0.5)
    assert timing.warm_up(slower_later, 5).compile_seconds == 0.0


def test_a_slow_contender_takes_fewer_steps():
    ms = {"fastest": 1.0, "slow": 4.9, "slower": 10.0, "slowest": 1e4}
    assert timing.steps_a_run(ms, 50) == {
        "fastest": 50,
        "slow": 50,
        "slower": 25,  # what fits in five times the fastest one's run
        "slowest": 3,
    }


def test_a_slow_contender_takes_no_more_steps_than_there_are():
    assert timing.steps_a_run({"a": 1.0, "b": 1e4}, 2) == {"a": 2, "b": 2}


def test_contenders_take_turns(clock):
    log: list = []
    pair = {
        name: fake(clock, step=seconds, log=log, name=name)
        for name, seconds in (("a", 1.0), ("b", 4.0))
    }
    times = timing.time_in_turns(pair, {"a": 10, "b": 5}, 2)
    assert [entry for entry in log if entry[1] == "train"] == [
        ("a", "train", 10),
        ("b", "train", 5),
        ("a", "train", 10),
        ("b", "train", 5),
    ]
    # Per member and step, so a shorter run is no faster.
    assert times == {"a": [500.0, 500.0], "b": [2000.0, 2000.0]}
