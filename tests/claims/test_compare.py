"""Members are found by their settings, and compared where the rest is the same."""

import math
from typing import Any

import numpy as np
import pytest

from normlab.claims.claim import Part, difference, interaction, level
from normlab.claims.compare import find
from normlab.claims.evidence import Evidence
from normlab.claims.measures import (
    BATCH_LOSS,
    EVALUATION_GAP,
    FINAL_TEST,
    GAP_AT_ACCURACY,
    SPEED,
    at_end,
    averaged,
    epochs_to,
    over_training,
    steps_to,
)
from normlab.claims.rules import above, below
from normlab.claims.settings import side
from tests.claims.made import CIFAR, frame, run, spread

NONE = side("none", "a", {"dataset": "cifar10", "norm": "none"})
BATCH = side("batch", "b", {"dataset": "cifar10", "norm": "batch"})


def part(*sides, measure=FINAL_TEST, **more) -> Part:
    sides = sides or (BATCH, NONE)
    if len(sides) == 1:
        return level(measure, sides[0], above(0), **more)
    return difference(measure, sides[0], sides[1], above(0), **more)


def mean(evidence: Evidence, of: Part) -> float:
    """The mean over seeds; a geometric mean of ratios."""
    found = find(evidence, of).values.mean()
    return float(np.exp(found)) if of.measure.ratio else float(found)


def test_a_difference_is_paired_by_seed():
    wild = spread(0.5, by=0.3)  # a hundred times the effect
    frames = [
        frame("none", **CIFAR, test=wild),
        frame("batch", **CIFAR, test=lambda s, at: wild(s, at) + 0.003),
    ]
    found = find(Evidence({"r": run(*frames)}), part())
    assert found.values.to_numpy() == pytest.approx(0.3, abs=1e-4)
    assert len(found.values) == 5
    assert found.runs == ("r",) and not found.missing


def test_sides_may_be_in_two_runs_whatever_they_are_called():
    one = frame("none", **CIFAR, test=0.5)
    other = frame("batch", **CIFAR, test=0.6)
    found = find(Evidence({"x": one, "y": other, "z": frame("group", **CIFAR)}), part())
    assert found.values.mean() == pytest.approx(10) and found.runs == ("x", "y")


@pytest.mark.parametrize(
    "other",
    [
        {"init": "glorot"},
        {"batch_size": 100},
        {"batch_order": "report"},
        {"lr": 1e-2},
        {"epochs": 10},
    ],
)
def test_what_is_run_otherwise_is_not_compared(other):
    one = frame("none", **CIFAR | other, test=0.5)
    found = find(Evidence({"r": run(one, frame("batch", **CIFAR))}), part())
    assert found.values.empty and not found.missing
    name = next(iter(other))
    assert name in found.why


def rising(seed: int, at: float) -> float:
    return at + 0.001 * seed


def test_curves_that_were_evaluated_unequally_often_are_not_compared():
    """The same curve: of one side, four late evaluations; of the other, its end."""
    often = frame("batch", **CIFAR, test=rising)
    once = frame("none", **CIFAR, test=rising)
    once = once[once["step"].isin([0, 20000])].assign(eval_every=10**6)
    found = find(Evidence({"r": run(often, once)}), part())
    assert found.values.empty and found.why == "the sides differ in evaluations"
    # At other batch sizes, the same shares of training are other steps.
    sizes = {"batch": 50, "none": 20}
    sides = [
        side(norm, "a", {"norm": norm, "batch_size": n}) for norm, n in sizes.items()
    ]
    cells = []
    for norm, size in sizes.items():
        place: dict[str, Any] = CIFAR | {"batch_size": size}
        cells.append(frame(norm, **place, test=rising))
    found = find(Evidence({"r": run(*cells)}), part(*sides))
    assert found.values.to_numpy() == pytest.approx(0, abs=1e-4)
    assert found.length == "20 epochs, mean of 4 evaluations"


@pytest.mark.parametrize(
    ("evaluations", "late"),
    [(1, 1), (1.5, 1), (5, 1), (10, 2), (20, 4), (25, 5), (99, 5)],
)
def test_how_many_evaluations_are_averaged(evaluations, late):
    assert averaged(evaluations) == late


def test_how_long_was_trained_is_said():
    frames = [frame(norm, **CIFAR, epochs=3) for norm in ("none", "batch")]
    found = find(Evidence({"r": run(*frames)}), part())
    assert found.length == "3 epochs, mean of 1 evaluation"
    loss = part(measure=BATCH_LOSS)
    assert find(Evidence({"r": run(*frames)}), loss).length == "3 epochs"
    few: dict[str, Any] = CIFAR | {"train_size": 10000}
    frames = [frame(norm, **few, epochs=1) for norm in ("none", "batch")]
    found = find(Evidence({"r": run(*frames)}), part())
    assert found.length == "1 epoch of 10000 images, mean of 1 evaluation"
    # Also where a claim names it.
    sides = [side(x, "a", few, norm=x, epochs=1.0) for x in ("none", "batch")]
    found = find(Evidence({"r": run(*frames)}), part(*sides))
    assert found.length == "1 epoch of 10000 images, mean of 1 evaluation"


def test_what_a_claim_names_may_differ():
    sides = [side(f"{lr:g}", "a", {"norm": "none"}, lr=lr) for lr in (1e-2, 1e-3)]
    frames = [frame(**CIFAR, lr=1e-2, test=0.6), frame(**CIFAR, lr=1e-3, test=0.5)]
    evidence = Evidence({"r": run(*frames)})
    assert mean(evidence, part(*sides)) == pytest.approx(10)


def test_of_several_setups_the_longest_with_seeds_enough_counts():
    def pair(epochs: int, by: float, seeds: int):
        kinds = (("none", 0.5), ("batch", 0.5 + by))
        return [
            frame(n, **CIFAR, epochs=epochs, test=t, seeds=range(seeds))
            for n, t in kinds
        ]

    frames = [*pair(2, 0.01, 9), *pair(10, 0.02, 5), *pair(20, 0.03, 3)]
    assert mean(Evidence({"r": run(*frames)}), part()) == pytest.approx(2)
    few = Evidence({"r": run(*pair(2, 0.01, 3), *pair(10, 0.02, 2))})
    assert mean(few, part()) == pytest.approx(2)


def test_a_member_that_is_in_two_runs_counts_once():
    both = run(frame("none", **CIFAR, test=0.5), frame("batch", **CIFAR, test=0.6))
    again = frame("none", **CIFAR, test=0.1)
    found = find(Evidence({"again": again, "both": both}), part())
    # The run with both sides has the say, though it comes later.
    assert found.values.to_numpy() == pytest.approx(10) and len(found.values) == 5
    assert len(found.members) == 10
    assert found.runs == ("both",)


def test_unfinished_members_do_not_count():
    frames = [
        frame("none", **CIFAR, seeds=range(5)),
        frame("batch", **CIFAR, until=12),
    ]
    found = find(Evidence({"r": run(*frames)}), part())
    assert [side.name for side in found.missing] == ["batch"]


def test_only_seeds_of_all_sides_are_compared():
    frames = [
        frame("none", **CIFAR, seeds=range(6), test=spread(0.5)),
        frame("batch", **CIFAR, seeds=range(2, 9), test=spread(0.6)),
    ]
    found = find(Evidence({"r": run(*frames)}), part())
    assert list(found.values.index) == [2, 3, 4, 5]
    assert sorted(set(found.members["seed"])) == [2, 3, 4, 5]
    assert len(found.members) == 8
    other = frame("batch", **CIFAR, seeds=range(10, 16))
    assert find(Evidence({"r": run(frames[0], other)}), part()).values.empty


def test_a_gpu_is_not_compared_with_a_cpu():
    frames = {
        "a": frame("none", **CIFAR, test=0.5),
        "b": frame("batch", **CIFAR, test=0.6),
    }
    apart = find(Evidence(frames, {"a": "cpu", "b": "gpu"}), part())
    assert apart.values.empty and apart.why == "the sides differ in device"
    frames["c"] = frame("none", **CIFAR, test=0.4)
    both = Evidence(frames, {"a": "cpu", "b": "gpu", "c": "gpu"})
    assert mean(both, part()) == pytest.approx(20)
    assert find(both, part()).runs == ("b", "c")


def test_ratios():
    frames = [frame("none", **CIFAR, loss=0.5), frame("batch", **CIFAR, loss=0.1)]
    evidence = Evidence({"r": run(*frames)})
    of = part(measure=at_end("train_loss", ratio=True))
    assert mean(evidence, of) == pytest.approx(0.2) and of.unit == "ratio"
    assert mean(evidence, part(measure=at_end("train_loss"))) == pytest.approx(-0.4)


def test_interactions():
    values = {("batch", 10): 0.8, ("none", 10): 0.5, ("batch", 50): 0.7}
    values |= {("none", 50): 0.6}
    frames = []
    for (norm, size), value in values.items():
        settings: dict[str, Any] = CIFAR | {"batch_size": size}
        frames.append(frame(norm, **settings, test=value))

    def of(norm: str, size: int):
        return side(norm, "a", {"norm": norm, "batch_size": size})

    pairs = [(of("batch", size), of("none", size)) for size in (10, 50)]
    found = interaction(FINAL_TEST, pairs[0], pairs[1], above(0))
    assert mean(Evidence({"r": run(*frames)}), found) == pytest.approx(20)


def test_the_best_of_several_rates():
    best = side("best", "a", {"norm": "none"}, across=("lr", "max"))
    frames = [
        frame(**CIFAR, lr=lr, test=lambda s, at, lr=lr: 0.5 + (s + 1) * lr)
        for lr in (1e-3, 1e-2, 3e-3)
    ]
    found = find(Evidence({"r": run(*frames)}), part(best))
    assert found.values.mean() == pytest.approx(50 + 3)
    spans = side("range", "a", {"norm": "none"}, across=("lr", np.ptp))
    assert mean(Evidence({"r": run(*frames)}), part(spans)) == pytest.approx(2.7)


def test_the_best_is_of_all_rates_that_are_named():
    rates = {"norm": "none", "lr": (1e-3, 1e-2)}
    best = side("best", "a", rates, across=("lr", "max"))
    one = frame(**CIFAR, lr=1e-3)
    assert find(Evidence({"r": one}), part(best)).missing == (best,)
    other = frame(**CIFAR, lr=1e-2, test=0.8, seeds=range(3))
    found = find(Evidence({"r": run(one, other)}), part(best)).values
    assert (found.mean(), len(found)) == (pytest.approx(80), 3)


def test_a_published_number_is_taken_from_a_single_side():
    evidence = Evidence({"r": frame(**CIFAR, test=0.7)})
    of = level(FINAL_TEST, NONE, above(0), offset=68.5)
    assert mean(evidence, of) == pytest.approx(1.5)
    assert "minus the published 68.5" in of.statistic


def test_norms_are_evaluated_as_asked():
    more = {"test_accuracy_running": 0.6, "test_accuracy_batch": 0.8}
    statistics = ("running", "batch", "precise")
    places = {"eval_statistics": ("running", "batch"), "test": 0.6}
    several = frame("batch", **CIFAR, **places, more=more)
    sides = {k: side(k, "a", {"norm": "batch"}, statistics=k) for k in statistics}
    evidence = Evidence({"r": several})
    assert mean(evidence, part(sides["running"])) == pytest.approx(60)
    assert mean(evidence, part(sides["batch"])) == pytest.approx(80)
    assert find(evidence, part(sides["precise"])).missing == (sides["precise"],)
    single = Evidence(
        {"r": frame("batch", **CIFAR, eval_statistics=("batch",), test=0.7)}
    )
    assert mean(single, part(sides["batch"])) == pytest.approx(70)
    assert find(single, part(sides["running"])).missing
    # A run of the other kind beside it changes nothing.
    both = Evidence(
        {"r": several, "s": frame("none", **CIFAR, eval_statistics=("batch",))}
    )
    assert mean(both, part(NONE)) == pytest.approx(70)


def nan(at: float) -> float:
    """A number before the first step, and none after it."""
    return 0.1 if at == 0 else math.nan


def test_a_loss_that_is_lost_is_infinite():
    lost = frame("batch", **CIFAR, loss=math.nan).assign(diverged=True)
    evidence = Evidence({"r": run(lost, frame("none", **CIFAR, loss=0.5))})
    found = find(evidence, part(measure=BATCH_LOSS)).values
    assert (found == math.inf).all() and len(found) == 5


@pytest.mark.faults
def test_two_sides_that_are_lost_say_nothing():
    """Their accuracies are alike in nothing: no difference of theirs is 0."""
    lost = [
        frame(
            norm, **CIFAR, loss=math.nan, train=math.nan, test=lambda s, at: nan(at)
        ).assign(diverged=True)
        for norm in ("batch", "none")
    ]
    for measure in (FINAL_TEST, BATCH_LOSS):
        found = find(Evidence({"r": run(*lost)}), part(measure=measure)).values
        assert found.empty, measure


def test_curves():
    def rising(seed: int, at: float) -> float:
        return at

    own = Evidence({"r": frame(**CIFAR, epochs=4, train=rising, test=rising)})
    assert mean(own, part(NONE)) == pytest.approx(100)
    assert mean(own, part(NONE, measure=SPEED)) == pytest.approx(62.5)
    steps = steps_to("train_accuracy", 0.6)
    # Between epochs 2 and 3, of 1000 steps each; the level of one side is no ratio.
    assert mean(own, part(NONE, measure=steps)) == pytest.approx(2400)
    epochs = epochs_to("train_accuracy", 0.6)
    assert mean(own, part(NONE, measure=epochs)) == pytest.approx(2.4)
    assert epochs.unit == "epochs" and epochs.words.startswith("epochs to reach 60%")
    never = steps_to("train_accuracy", 1.5)
    assert mean(own, part(NONE, measure=never)) == math.inf
    falling = Evidence({"r": frame(**CIFAR, epochs=4, loss=lambda s, at: 1 - at)})
    assert mean(falling, part(NONE, measure=over_training("batch_loss"))) == (
        pytest.approx(0.375)
    )


def test_the_gap_at_equal_training_accuracies():
    """Two networks with the same gap at each accuracy; the slower ends with less."""

    def learning(speed: float) -> dict[str, Any]:
        def train(seed: int, at: float) -> float:
            return min(1.0, 0.6 + 0.4 * speed * at + 0.01 * seed * at)

        return {"train": train, "test": lambda s, at: 0.8 - 0.5 * (1 - train(s, at))}

    frames = [
        frame("none", **CIFAR, **learning(1.0)),
        frame("batch", **CIFAR, **learning(0.8)),
    ]
    evidence = Evidence({"r": run(*frames)})
    sides = BATCH, NONE
    at_end = difference(EVALUATION_GAP, *sides, below(0))
    assert mean(evidence, at_end) < -2
    matched = difference(GAP_AT_ACCURACY, *sides, below(0))
    assert mean(evidence, matched) == pytest.approx(0, abs=1e-4)
    # At 80%, 85% and 90%, the test accuracy is 70%, 72.5% and 75%.
    alone = level(GAP_AT_ACCURACY, NONE, above(0))
    assert mean(evidence, alone) == pytest.approx(12.5, abs=1e-4)
    slow = Evidence({"r": run(frame("none", **CIFAR, **learning(0.6)))})
    assert find(slow, alone).values.empty  # it never reaches 90%
    late = {"train": lambda s, at: 0.85 + 0.1 * at, "test": 0.7}
    found = find(Evidence({"r": run(frame("none", **CIFAR, **late))}), alone)
    assert found.values.empty  # where it reached 80% was not seen
