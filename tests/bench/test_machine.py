"""The yardsticks, by a clock that shows a second more whenever it is read."""

import itertools
import os

import jax
import pytest

from normlab.bench import machine


@pytest.fixture
def seconds(monkeypatch):
    ticks = itertools.count()
    monkeypatch.setattr(machine.time, "perf_counter", lambda: float(next(ticks)))


# Four calls in a row take the second between two readings.
def test_rate_of_a_product(seconds):
    assert machine.matmul_rate(8, "float32", 2) == 4 * 2 * 8**3


def test_bandwidth_counts_what_is_read_and_written(seconds):
    assert machine.bandwidth(1000, 2) == 4 * 2 * 4000


def test_the_best_of_several_counts(monkeypatch):
    readings = iter([0.0, 8.0, 10.0, 12.0, 20.0, 25.0])  # 8, 2 and 5 seconds
    monkeypatch.setattr(machine.time, "perf_counter", lambda: next(readings))
    assert machine.bandwidth(1000, 3) == 4 * 2 * 4000 / 2


def test_the_name_says_how_many_cores():
    assert jax.devices()[0].platform == "cpu"
    cores = len(os.sched_getaffinity(0))
    assert machine.machine_name().endswith(f", {cores} cores")


def test_numbers_are_real(monkeypatch):
    monkeypatch.setattr(machine, "matmul_rate", lambda size, precision, repeats: 2e11)
    monkeypatch.setattr(machine, "bandwidth", lambda size, repeats: 3e10)
    found = machine.measure_machine("float32")
    assert (found.matmul_gflops, found.bandwidth_gbs) == (200.0, 30.0)
