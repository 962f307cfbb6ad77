"""Final values are means over evaluations, and know the error of their test images."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import special, stats

from normlab.claims.claim import Claim, difference, interaction, level
from normlab.claims.compare import find
from normlab.claims.evidence import Evidence
from normlab.claims.judge import judge
from normlab.claims.measures import (
    BATCH_LOSS,
    EVALUATION_GAP,
    FINAL_TEST,
    at_epochs,
    final,
)
from normlab.claims.rules import above
from normlab.claims.settings import side
from normlab.statistics.paired import widened_interval
from tests.claims.made import CIFAR, frame, run, spread

NONE, BATCH = (side(n, n, {"dataset": "cifar10", "norm": n}) for n in ("none", "batch"))


def by_epoch(values: dict[int, float], epochs: int = 20):
    """A curve with these values after some epochs, and 0 after the others."""
    return lambda seed, at: values.get(round(at * epochs), 0.0)


def value(table: pd.DataFrame, measure) -> float:
    evidence = Evidence({"r": table})
    return float(measure.of(evidence, evidence.members.index, "running").mean())


def test_a_final_value_is_of_the_last_fifth_of_training():
    late = {16: 0.9, 17: 0.1, 18: 0.2, 19: 0.3, 20: 0.8}
    assert value(frame(**CIFAR, test=by_epoch(late)), FINAL_TEST) == pytest.approx(35)
    assert value(frame(**CIFAR, epochs=4, test=by_epoch({4: 0.6}, 4)), FINAL_TEST) == (
        pytest.approx(60)
    )


def test_a_final_value_is_of_five_evaluations_at_most():
    late = {k: 0.5 for k in range(26, 31)} | {25: 0.9}
    table = frame(**CIFAR, epochs=30, test=by_epoch(late, 30), train=0.9)
    assert value(table, FINAL_TEST) == pytest.approx(50)
    assert value(table, EVALUATION_GAP) == pytest.approx(40)
    some = table["test_accuracy"].where(table["step"] % 2000 == 0)  # every second epoch
    assert value(table.assign(test_accuracy=some), FINAL_TEST) == pytest.approx(50)


def test_a_final_value_that_was_not_measured():
    measure = final("validation_accuracy")
    assert np.isnan(value(frame(**CIFAR), measure))
    table = frame(**CIFAR, more={"validation_accuracy": 0.25})
    assert value(table, measure) == pytest.approx(25)


def test_a_mean_over_epochs():
    loss = by_epoch({1: 3.0, 2: 5.0, 3: 100.0, 4: 1.0})
    measure = at_epochs("batch_loss", (1, 2, 4))
    assert value(frame(**CIFAR, loss=loss), measure) == pytest.approx(3)
    assert measure.words == "batch loss averaged over epochs 1 to 4 without 3"


def coverage(shared: bool, share_of_error: float, seeds: int = 12) -> float:
    """How often the interval has the gain over all images, of draws of 400 images.

    Args:
      shared: whether the same images are hard for both networks.
      share_of_error: the part of the error of images that the interval is told.
    """
    rng = np.random.default_rng(0)
    images, draws, steep = 400, 300, 4.0
    levels = stats.norm.ppf((np.arange(2000) + 0.5) / 2000)
    means = [special.expit(steep * levels + by).mean() for by in (0.4, 0.8)]
    covered = 0
    for _ in range(draws):
        hard = rng.normal(size=(2, images))
        chances = [
            special.expit(steep * hard[0 if shared else k] + by)
            for k, by in enumerate((0.4, 0.8))
        ]
        right = [(rng.random((seeds, images)) < chance).mean(1) for chance in chances]
        shares = [share.mean() for share in right]
        sd = np.sqrt(sum(p * (1 - p) for p in shares) / images)
        low, high = widened_interval(right[1] - right[0], share_of_error * sd)
        covered += low <= means[1] - means[0] <= high
    return covered / draws


def test_the_error_of_test_images_widens_an_interval():
    # The bound holds if networks err on different images, and is wide if on the same.
    assert coverage(shared=False, share_of_error=1) > 0.93
    assert coverage(shared=True, share_of_error=1) > 0.99
    for too_little in (1e-6, 0.3):
        assert coverage(shared=False, share_of_error=too_little) < 0.85


def made(gain: float, **settings: Any) -> Evidence:
    frames = [
        frame("none", **CIFAR | settings, test=spread(0.6)),
        frame("batch", **CIFAR | settings, test=spread(0.6 + gain, by=0.0022)),
    ]
    return Evidence({"r": run(*frames)})


def test_a_small_difference_holds_for_the_test_set_only():
    part = difference(FINAL_TEST, BATCH, NONE, above(0))
    own = Claim("X", "A sentence.", "a source", (part,))
    # Two shares of about 0.6 of 10000 images: an error of at most 0.69 points.
    assert find(made(0.011), part).images_sd == pytest.approx(0.69, abs=0.005)
    (small,) = judge(own, made(0.011))
    assert small.verdict == "supported" and small.images == "differs, undecided"
    assert small.low_images < 0 < small.low and small.high < small.high_images
    (large,) = judge(own, made(0.03))
    assert large.images == "agrees" and large.low_images > 0
    double = Claim("X", "A sentence.", "a source", (part, part))
    assert judge(double, made(0.011))[0].images == "differs, undecided"
    pooled = Claim("X", "A sentence.", "a source", (part, part), test="pooled")
    assert judge(pooled, made(0.011))[0].images == "differs, undecided"


def test_all_sides_of_an_interaction_have_an_error():
    def of(norm: str, size: int):
        return side(norm, "a", {"norm": norm, "batch_size": size})

    pairs = [(of("batch", size), of("none", size)) for size in (10, 50)]
    part = interaction(FINAL_TEST, pairs[0], pairs[1], above(0))
    tests = {("batch", 10): 0.5, ("none", 10): 0.5, ("batch", 50): 0.9}
    cells = []
    for norm in ("batch", "none"):
        for size in (10, 50):
            place: dict[str, Any] = CIFAR | {"batch_size": size}
            cells.append(frame(norm, **place, test=tests.get((norm, size), 0.9)))
    found = find(Evidence({"r": run(*cells)}), part).images_sd
    # Of 0.5 and 0.9, the errors are 0.5 and 0.3 points. Two of them are added, and may
    # go the same way.
    assert found == pytest.approx(np.hypot(0.5 + 0.3, 0.5 + 0.3))


def test_both_ends_of_a_range_have_an_error():
    of = side("none", "a", {"norm": "none"}, across=("lr", np.ptp))
    rates = [frame(**CIFAR, lr=lr, test=lr * 100) for lr in (5e-3, 8e-3)]
    found = find(Evidence({"r": run(*rates)}), level(FINAL_TEST, of, above(0)))
    assert found.values.mean() == pytest.approx(30)
    assert found.images_sd == pytest.approx(np.sqrt(2) * 0.5)


def test_a_gap_has_the_error_of_its_test_accuracies():
    part = difference(EVALUATION_GAP, BATCH, NONE, above(0))
    assert find(made(0.011), part).images_sd == pytest.approx(0.69, abs=0.005)


def test_a_published_accuracy_is_of_the_same_images():
    ours = level(FINAL_TEST, NONE, above(0))
    assert find(made(0.011), ours).images_sd == pytest.approx(0.49, abs=0.005)
    theirs = level(FINAL_TEST, NONE, above(0), offset=68.5)
    assert find(made(0.011), theirs).images_sd == 0


def test_only_accuracies_have_an_error_of_test_images():
    part = difference(BATCH_LOSS, BATCH, NONE, above(0))
    assert find(made(0.01), part).images_sd == 0
    (found,) = judge(Claim("X", "A sentence.", "a source", (part,)), made(0.01))
    assert found.images == "" and np.isnan(found.low_images)
