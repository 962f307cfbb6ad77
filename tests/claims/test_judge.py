"""What claims of one part and of several come to."""

from typing import Any

import pytest

from normlab.claims.claim import Claim, Part, difference
from normlab.claims.evidence import Evidence
from normlab.claims.judge import judge
from normlab.claims.measures import FINAL_TEST
from normlab.claims.rules import above, within
from normlab.claims.settings import side
from tests.claims.made import CIFAR, frame, run, spread

S, C, U = "supported", "contradicted", "undecided"


def gain(size: int, rule=None) -> Part:
    a, b = (
        side(norm, f"{norm}_runs", {"norm": norm, "batch_size": size})
        for norm in ("batch", "none")
    )
    return difference(FINAL_TEST, a, b, rule or above(0), f"batch size {size}")


def claim(*parts: Part, **more) -> Claim:
    return Claim("X", "A sentence.", "a source", parts, **more)


def evidence(seeds: int = 5, **gains: float) -> Evidence:
    """A run with the gain of batch norm at each batch size (``b50=0.1``)."""
    frames = []
    for name, by in gains.items():
        place: dict[str, Any] = CIFAR | {"batch_size": int(name[1:])}
        for norm, level in (("none", spread(0.5)), ("batch", spread(0.5 + by))):
            frames.append(frame(norm, **place, test=level, seeds=range(seeds)))
    return Evidence({"r": run(*frames)})


@pytest.mark.parametrize(("by", "verdict"), [(0.01, S), (-0.01, C), (0.0, U)])
def test_an_effect_is_found_in_its_direction(by, verdict):
    (found,) = judge(claim(gain(50)), evidence(b50=by))
    assert (found.id, found.verdict, found.n) == ("X", verdict, 5)
    assert found.median == pytest.approx(100 * by)
    assert found.sentence == "A sentence." and found.source == "a source"
    assert found.statistic == (
        "test accuracy of the last epoch, batch minus none; batch size 50; 20 epochs"
    )
    assert found.needs == (
        "experiments/batch_runs.flags",
        "experiments/none_runs.flags",
    )
    assert found.missing == () and found.runs == ("r",)
    assert bool(found.note) == (verdict == U)


@pytest.mark.parametrize(
    ("by", "verdict"), [(0.0, S), (0.005, S), (0.03, C), (-0.03, C)]
)
def test_no_difference_is_a_claim_with_a_margin(by, verdict):
    (found,) = judge(claim(gain(50, within(1))), evidence(b50=by))
    assert found.verdict == verdict


def test_noise_supports_no_difference_neither():
    frames = [
        frame("none", **CIFAR, test=spread(0.5, by=0.1)),
        frame("batch", **CIFAR, test=lambda s, at: spread(0.5, by=0.1)(s + 3, at)),
    ]
    for rule in (above(0), within(1)):
        (found,) = judge(claim(gain(50, rule)), Evidence({"r": run(*frames)}))
        assert found.verdict == U and "contains the bound" in found.note


@pytest.mark.parametrize("seeds", [1, 3, 4])
def test_too_few_seeds(seeds):
    (found,) = judge(claim(gain(50)), evidence(seeds, b50=0.2))
    assert (found.verdict, found.n) == (U, seeds)
    assert found.median == pytest.approx(20) and "at least 5 seeds" in found.note


def test_what_is_missing_is_named():
    only = Evidence({"r": frame("none", **CIFAR)})
    (found,) = judge(claim(gain(50)), only)
    assert (found.verdict, found.n, found.coverage) == (U, 0, 0)
    assert found.missing == ("experiments/batch_runs.flags",)
    assert found.note == "Missing from the given runs: batch."
    (nothing,) = judge(claim(gain(50)), Evidence({}))
    assert nothing.missing == nothing.needs and nothing.runs == ()


def test_what_cannot_be_compared_is_said():
    frames = [frame("none", **CIFAR, epochs=3), frame("batch", **CIFAR)]
    (found,) = judge(claim(gain(50)), Evidence({"r": run(*frames)}))
    assert found.verdict == U and found.missing == ()
    assert found.note == "Not compared: the sides differ in epochs."


@pytest.mark.parametrize(
    ("gains", "verdict", "shown"),
    [
        ({"b50": 0.1, "b10": 0.2}, S, "X.1"),
        ({"b50": 0.1, "b10": 0.0}, U, "X.2"),
        ({"b50": 0.0, "b10": -0.1}, C, "X.2"),
        ({"b50": -0.1, "b10": -0.2}, C, "X.1"),
        ({"b50": 0.1}, U, "X.1"),  # the other has no run
        ({"b50": -0.1}, C, "X.1"),
    ],
)
def test_several_parts(gains, verdict, shown):
    own = claim(gain(50), gain(10), remark="A remark.")
    whole, *parts = judge(own, evidence(**gains))
    assert [row.id for row in (whole, *parts)] == ["X", "X.1", "X.2"]
    assert whole.verdict == verdict
    same = next(row for row in parts if row.id == shown)
    assert whole.statistic == same.statistic and whole.n == same.n
    assert f"shows {shown}. A remark." in whole.note
    assert whole.needs == own.needs
    assert bool(whole.missing) == (len(gains) == 1)


@pytest.mark.parametrize(
    ("gains", "verdict"),
    [
        ({"b50": 0.1, "b10": 0.2, "b5": -0.1}, S),
        ({"b50": -0.1, "b10": -0.2, "b5": 0.1}, C),
        ({"b50": 0.1, "b10": 0.0, "b5": -0.1}, U),
    ],
)
def test_most_parts(gains, verdict):
    own = claim(gain(50), gain(10), gain(5), most=True)
    whole, *parts = judge(own, evidence(**gains))
    assert whole.verdict == verdict
    assert whole.statistic in {row.statistic for row in parts}


def test_an_undecided_claim_shows_a_part_that_has_values():
    whole, first, second = judge(claim(gain(50), gain(10)), evidence(b10=0.0))
    assert (first.n, second.n) == (0, 5) and whole.n == 5
