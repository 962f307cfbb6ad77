"""Groupings of made-up channels: what each one is for, and the laws of all."""

import importlib.util
import itertools

import numpy as np
import pytest

from normlab import grouping
from normlab.errors import UserError
from normlab.grouping import GROUPINGS, Channels, assign, score
from normlab.grouping.exchange import exchange

KEY = (0, 0)
SIZES = [(16, 4), (16, 8), (12, 2), (32, 4)]


def channels_of(x: np.ndarray) -> Channels:
    """The statistics of observations (N, C)."""
    return Channels(x.mean(0), x.var(0), np.corrcoef(x.T))


def noise(seed: int, count: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    mixed = rng.normal(size=(40, count)) @ rng.normal(size=(count, count))
    return mixed + rng.normal(0, 3, count)


def in_blocks(seed: int, count: int, groups: int) -> tuple[Channels, np.ndarray]:
    """Channels correlated in blocks that lie anywhere, and the block of each."""
    rng = np.random.default_rng(seed)
    block = rng.permutation(np.arange(count) % groups)
    x = rng.normal(size=(200, groups))[:, block] + rng.normal(size=(200, count))
    return channels_of(x), block


def same_groups(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two assignments differ in the names of groups alone."""
    return np.array_equal(one[:, None] == one, other[:, None] == other)


def spread(values: np.ndarray, assignment: np.ndarray) -> float:
    """The mean variance of ``values`` within a group."""
    return float(np.mean([values[assignment == g].var() for g in set(assignment)]))


@pytest.mark.parametrize("count, groups", [*SIZES, (6, 3), (8, 1), (8, 8), (1, 1)])
@pytest.mark.parametrize("name", GROUPINGS)
def test_every_group_has_the_same_size_and_nothing_is_left_to_chance(
    name, count, groups
):
    more = channels_of(noise(count, count + 1))
    correlation = more.correlation[:count, :count]
    channels = Channels(more.mean[:count], more.var[:count], correlation)
    found = assign(name, channels, groups, KEY)
    assert found.dtype == np.int32
    sizes = np.bincount(found, minlength=groups)
    assert sizes.tolist() == [count // groups] * groups
    np.testing.assert_array_equal(found, assign(name, channels, groups, KEY))


@pytest.mark.parametrize("name", GROUPINGS)
def test_channels_without_any_difference_can_be_grouped(name):
    """Dead channels: no variance, and no correlation."""
    channels = Channels(np.zeros(8), np.zeros(8), np.zeros((8, 8)))
    assert np.bincount(assign(name, channels, 4, KEY)).tolist() == [2] * 4


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("count, groups", SIZES)
def test_correlated_finds_the_blocks_and_anti_correlated_cuts_them_up(
    count, groups, seed
):
    channels, block = in_blocks(seed, count, groups)
    found = {name: assign(name, channels, groups, (seed, 0)) for name in GROUPINGS}
    assert same_groups(found["correlated"], block)
    r = {name: score(channels.correlation, a) for name, a in found.items()}
    assert r["correlated"] > max(r["sequential"], r["random"])
    assert r["anti_correlated"] < min(r["sequential"], r["random"])


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("count, groups", SIZES)
def test_correlated_is_above_and_anti_correlated_below_the_rest(count, groups, seed):
    """Where there is no structure but what chance made."""
    channels = channels_of(noise(seed, count))
    r = {
        name: score(channels.correlation, assign(name, channels, groups, (seed, 0)))
        for name in GROUPINGS
    }
    assert r["correlated"] > max(r["sequential"], r["random"], r["moments"])
    assert r["anti_correlated"] < min(r["sequential"], r["random"], r["moments"])


def test_a_channel_and_its_negative_are_not_alike():
    x = np.random.default_rng(0).normal(size=(50, 2))
    channels = channels_of(np.concatenate([x, -x], axis=1))
    near = channels_of(np.concatenate([x, x], axis=1))
    assert same_groups(assign("correlated", near, 2, KEY), np.array([0, 1, 0, 1]))
    opposite = np.array([0, 1, 0, 1])
    assert not same_groups(assign("correlated", channels, 2, KEY), opposite)
    assert same_groups(assign("anti_correlated", channels, 2, KEY), opposite)


def partitions(count: int, size: int):
    """Every assignment of ``count`` channels to groups of ``size``."""

    def fill(left: tuple[int, ...]):
        if not left:
            yield []
            return
        for rest in itertools.combinations(left[1:], size - 1):
            group = (left[0], *rest)
            others = tuple(c for c in left if c not in group)
            yield from ([group, *more] for more in fill(others))

    for groups in fill(tuple(range(count))):
        assignment = np.empty(count, np.int32)
        for number, group in enumerate(groups):
            assignment[list(group)] = number
        yield assignment


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("count, groups", [(8, 2), (6, 3), (8, 4)])
def test_moments_have_the_least_spread_of_means(count, groups, seed):
    """Of all groupings there are, where variances are alike."""
    mean = np.random.default_rng(seed).normal(size=count)
    channels = Channels(mean, np.ones(count), np.eye(count))
    found = spread(mean, assign("moments", channels, groups, KEY))
    every = [spread(mean, a) for a in partitions(count, count // groups)]
    assert len(every) in (15, 35, 105)
    assert found == pytest.approx(min(every)) and found < np.median(every)


@pytest.mark.parametrize("seed", range(5))
def test_moments_are_of_mean_and_deviation(seed):
    rng = np.random.default_rng(seed)
    mean, var = rng.normal(size=16), rng.uniform(0, 4, 16)

    def both(channels, name):
        assignment = assign(name, channels, 4, (seed, 0))
        std = np.sqrt(channels.var)
        return spread(channels.mean, assignment) + spread(std, assignment)

    channels = Channels(mean, var, np.eye(16))
    by_means = assign("moments", channels._replace(var=np.ones(16)), 4, KEY)
    found = both(channels, "moments")
    assert found < spread(mean, by_means) + spread(np.sqrt(var), by_means)
    assert found < 0.8 * min(both(channels, "sequential"), both(channels, "random"))


def test_random_groups_are_those_of_seed_and_layer():
    channels = channels_of(noise(0, 16))
    other = channels_of(noise(1, 16))

    def drawn(channels, key):
        return assign("random", channels, 4, key).tobytes()

    keys = [(seed, layer) for seed in range(4) for layer in range(3)]
    assert len({drawn(channels, key) for key in keys}) == len(keys)
    assert all(drawn(channels, key) == drawn(other, key) for key in keys)


def test_sequential_is_in_order():
    channels = channels_of(noise(0, 6))
    assert assign("sequential", channels, 3, KEY).tolist() == [0, 0, 1, 1, 2, 2]


# The exchange, and its score.


def test_score_is_the_mean_over_pairs():
    r = np.arange(16.0).reshape(4, 4)
    r = r + r.T
    assert score(r, np.array([0, 1, 0, 1])) == (r[0, 2] + r[1, 3]) / 2
    assert np.isnan(score(r, np.arange(4)))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("sign", [1, -1])
def test_no_exchange_of_two_channels_is_left_that_gains(sign, seed):
    """Every pair tried by hand."""
    rng = np.random.default_rng(seed)
    likeness = sign * np.corrcoef(rng.normal(size=(12, 9)))
    start = np.arange(12, dtype=np.int32) % 3
    found = exchange(likeness, start)
    reached = score(likeness, found)
    assert reached > score(likeness, start)
    for i, j in itertools.combinations(range(12), 2):
        other = found.copy()
        other[[i, j]] = other[[j, i]]
        assert score(likeness, other) <= reached + 1e-6


# What a user may ask for.


def test_an_unknown_grouping_names_the_known_ones():
    with pytest.raises(UserError, match="--grouping=corelated: unknown; known: seq"):
        grouping.check(["random", "corelated"])


def test_clustering_without_scikit_learn_says_what_to_install(monkeypatch):
    grouping.check(GROUPINGS)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    grouping.check(["sequential", "random", "moments"])
    for name in ("correlated", "anti_correlated"):
        with pytest.raises(UserError, match=rf"={name} needs .*'normlab\[grouping\]'"):
            grouping.check([name])
