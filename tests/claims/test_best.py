"""The best member of a seed is chosen on held-out images; the verdict says if not."""

import dataclasses
from typing import Any

import numpy as np
import pytest

from normlab.claims.best import BY_TEST
from normlab.claims.claim import BEST, Claim, difference, level
from normlab.claims.compare import find
from normlab.claims.evidence import Evidence
from normlab.claims.judge import judge
from normlab.claims.measures import FINAL_TEST, FINAL_TRAIN
from normlab.claims.rules import NOT_AT_SCALE, above
from normlab.claims.scale import Scale
from normlab.claims.settings import side
from tests.claims.made import CIFAR, frame, run, spread

SIDE = side("best", "a", {"norm": "none"}, across=("lr", BEST))
RATES = (1e-3, 3e-3, 1e-2)
# The rate that is best on validation images is the worst on test images.
TEST = dict(zip(RATES, (0.7, 0.6, 0.8), strict=True))
HELD_OUT = dict(zip(RATES, (0.5, 0.9, 0.6), strict=True))


def evidence(held_out: dict[float, float] | None = None, rates=RATES) -> Evidence:
    def cell(lr: float):
        more = {"validation_accuracy": held_out[lr]} if held_out else None
        test = spread(TEST[lr])
        return frame(**CIFAR, lr=lr, test=test, train=lr, more=more)

    return Evidence({"r": run(*map(cell, rates))})


def test_validation_images_choose_and_test_images_are_measured():
    found = find(evidence(HELD_OUT), level(FINAL_TEST, SIDE, above(0)))
    assert found.values.mean() == pytest.approx(60, abs=0.2) and len(found.values) == 5
    assert found.choice == (5, 0, 0) and found.choice.words == ""
    trained = find(evidence(HELD_OUT), level(FINAL_TRAIN, SIDE, above(0)))
    assert trained.values.to_numpy() == pytest.approx(100 * 3e-3)


def test_a_run_without_validation_images_says_so():
    found = find(evidence(), level(FINAL_TEST, SIDE, above(0)))
    assert found.values.mean() == pytest.approx(80, abs=0.2)
    # The best rate is the largest one: there might be a better one beyond it.
    assert found.choice == (5, 5, 5)
    own = Claim("X", "A sentence.", "a source", (level(FINAL_TEST, SIDE, above(0)),))
    note = judge(own, evidence())[0].note
    assert "chosen on test images" in note and "5 of 5 best values lie at" in note
    # Another measure does not choose for itself.
    trained = find(evidence(), level(FINAL_TRAIN, SIDE, above(0)))
    assert trained.values.to_numpy() == pytest.approx(100 * 1e-2)
    lowest = dict(zip(RATES, (1e-1, 1e-2, 1e-3), strict=True))
    assert find(evidence(lowest), level(FINAL_TEST, SIDE, above(0))).choice == (5, 0, 5)


def test_a_claim_of_several_parts_says_how_its_best_was_chosen():
    parts = (level(FINAL_TEST, SIDE, above(0)), level(FINAL_TRAIN, SIDE, above(0)))
    own = Claim("X", "A sentence.", "a source", parts)
    assert "chosen on test images" in judge(own, evidence())[0].note
    assert "chosen on test images" not in judge(own, evidence(HELD_OUT))[0].note


def test_diverged_rates_are_never_best():
    infinite = {**HELD_OUT, 1e-2: -np.inf}
    found = find(evidence(infinite), level(FINAL_TEST, SIDE, above(0)))
    assert found.values.mean() == pytest.approx(60, abs=0.2)


def test_a_single_rate_has_no_ends():
    found = find(evidence(HELD_OUT, RATES[:1]), level(FINAL_TEST, SIDE, above(0)))
    assert found.choice == (5, 0, 0)


def sized(norm: str, batch_size: int = 50):
    """The best rate of those that a run has."""
    where = {"norm": norm, "batch_size": batch_size}
    return side(norm, "a", where, across=("lr", BEST))


def made(norm: str, tests: dict[float, float], **settings):
    """Cells of ``norm``, with final test accuracies by rate."""
    own: dict[str, Any] = {**CIFAR, **settings}
    return [frame(norm, **own, lr=lr, test=spread(x)) for lr, x in tests.items()]


def test_the_best_is_of_rates_that_both_sides_have():
    """The best of four rates would be better than the best of two of them."""
    none = made("none", {1e-3: 0.6, 3e-3: 0.62})
    batch = made("batch", {1e-3: 0.61, 3e-3: 0.64, 1e-2: 0.8})
    batch.append(made("batch", {3e-2: 0.9})[0].query("seed < 3"))
    evidence = Evidence({"a": run(*none), "b": run(*batch)})
    part = difference(FINAL_TEST, sized("batch"), sized("none"), above(0))
    found = find(evidence, part)
    assert found.values.mean() == pytest.approx(2, abs=0.2) and len(found.values) == 5
    alone = find(evidence, level(FINAL_TEST, sized("batch"), above(0)))
    assert alone.values.mean() == pytest.approx(86, abs=0.2)  # 3 of 90, and 2 of 80
    nothing = Evidence({"a": run(*none), "b": run(*made("batch", {1e-2: 0.8}))})
    assert find(nothing, part).values.empty


def test_batch_sizes_share_rates_as_they_are_or_by_the_linear_rule():
    """In both cases the best of all rates of one side would be another one."""
    part = difference(FINAL_TEST, sized("batch", 10), sized("batch"), above(0))
    small = made("batch", {1e-3: 0.6, 3e-3: 0.7}, batch_size=10)
    large = made("batch", {1e-3: 0.8, 3e-3: 0.75, 1e-2: 0.9})
    found = find(Evidence({"r": run(*small, *large)}), part)
    assert found.values.mean() == pytest.approx(-10, abs=0.2)
    # A fifth of the images, and a fifth of the rate.
    small = made("batch", {2e-4: 0.6, 6e-4: 0.7}, batch_size=10)
    found = find(Evidence({"r": run(*small, *large)}), part)
    assert found.values.mean() == pytest.approx(-10, abs=0.2)
    none = made("batch", {5e-2: 0.6, 7e-2: 0.7}, batch_size=10)
    found = find(Evidence({"r": run(*none, *large)}), part)
    assert found.values.empty and not found.missing
    assert found.why == "no value to choose from is on all sides"


def test_how_the_best_was_chosen_is_said_at_any_scale():
    scale = Scale("a wide network", {"width": 2.0})
    parts = (level(FINAL_TEST, SIDE, above(0)), level(FINAL_TRAIN, SIDE, above(0)))
    own = Claim("X", "A sentence.", "a source", parts, scale)
    rows = [
        *judge(own, evidence()),
        *judge(dataclasses.replace(own, parts=parts[:1]), evidence()),
    ]
    assert len(rows) == 4 and all(row.verdict == NOT_AT_SCALE for row in rows)
    assert all(BY_TEST in row.note for row in rows)
    assert all("5 of 5 best values lie at an end" in row.note for row in rows[1:])
    chosen = judge(own, evidence(HELD_OUT))
    assert not any(BY_TEST in row.note for row in chosen)
