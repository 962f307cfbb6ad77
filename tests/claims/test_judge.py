"""What claims of one part and of several come to."""

import dataclasses
from typing import Any

import pytest

from normlab.claims.claim import Claim, Part, difference, level
from normlab.claims.evidence import Evidence
from normlab.claims.judge import judge, together
from normlab.claims.measures import FINAL_TEST
from normlab.claims.rules import above, identity, within
from normlab.claims.scale import Scale
from normlab.claims.settings import side
from tests.claims.made import CIFAR, frame, run, spread

S, C, U, N = "supported", "contradicted", "undecided", "no difference"
SMALL = "not at its scale"


def gain(size: int, rule=None) -> Part:
    a, b = (
        side(norm, f"{norm}_runs", {"norm": norm, "batch_size": size})
        for norm in ("batch", "none")
    )
    return difference(FINAL_TEST, a, b, rule or above(0), f"batch size {size}")


def claim(*parts: Part, **more) -> Claim:
    return Claim("X", "A sentence.", "a source", parts, **more)


def evidence(seeds=range(5), noise: float = 1e-3, **gains: float) -> Evidence:
    """A run with the gain of batch norm at each batch size (``b50=0.1``).

    The gains of seeds have a standard deviation of about ``noise``.
    """
    frames = []
    for name, by in gains.items():
        place: dict[str, Any] = CIFAR | {"batch_size": int(name[1:])}
        other = spread(0.5 + by, by=1.4 * noise)

        def gained(seed: int, at: float, other=other) -> float:
            return other(seed, at) + spread(0.0)(seed, at)

        for norm, curve in (("none", spread(0.5)), ("batch", gained)):
            frames.append(frame(norm, **place, test=curve, seeds=seeds))
    return Evidence({"r": run(*frames)})


@pytest.mark.parametrize(("by", "verdict"), [(0.01, S), (-0.01, C), (0.0, N)])
def test_an_effect_is_found_in_its_direction(by, verdict):
    (found,) = judge(claim(gain(50)), evidence(b50=by))
    assert (found.id, found.verdict, found.n) == ("X", verdict, 5)
    assert found.estimate == pytest.approx(100 * by, abs=0.1)
    assert found.low < found.estimate < found.high and found.level == 0.95
    assert found.sentence == "A sentence." and found.source == "a source"
    assert found.statistic == (
        "final test accuracy (mean of up to 5 evaluations), batch minus none; batch "
        "size 50; 20 epochs, mean of 4 evaluations"
    )
    assert found.needs == (
        "experiments/batch_runs.flags",
        "experiments/none_runs.flags",
    )
    assert found.missing == () and found.runs == ("r",)
    assert found.words == (f"{N} larger than 1 point" if verdict == N else verdict)
    assert found.check == "BCa bootstrap: agrees"
    assert (found.p < 1e-3) == (verdict != N) and found.note == ""


@pytest.mark.parametrize(
    ("by", "verdict"), [(0.0, S), (0.005, S), (0.03, C), (-0.03, C)]
)
def test_no_difference_is_a_claim_with_a_margin(by, verdict):
    (found,) = judge(claim(gain(50, within(1))), evidence(b50=by))
    assert found.verdict == verdict


def test_noise_supports_no_difference_neither():
    for rule in (above(0), within(1)):
        (found,) = judge(claim(gain(50, rule)), evidence(noise=0.03, b50=0.0))
        assert found.verdict == U and "contains the bound" in found.note


def test_a_difference_too_small_to_matter_is_said_to_be():
    (found,) = judge(claim(gain(50)), evidence(noise=1e-4, b50=0.002))
    assert found.verdict == S
    assert found.note == "The difference is not larger than 1 point."


@pytest.mark.parametrize("seeds", [1, 3, 4])
def test_too_few_seeds(seeds):
    (found,) = judge(claim(gain(50)), evidence(range(seeds), b50=0.2))
    assert (found.verdict, found.n) == (U, seeds)
    assert found.estimate == pytest.approx(20, abs=0.2)
    assert "at least 5 are required" in found.note and found.check == ""


def test_a_check_that_says_otherwise_is_told():
    def cells(outlier: float):
        for norm, by in (("none", 0.0), ("batch", 1.0)):
            yield frame(
                norm,
                **CIFAR,
                seeds=range(8),
                test=lambda s, at, by=by: (
                    0.5 + by * (outlier if s == 7 else 0.01 + s / 1e3)
                ),
            )

    (found,) = judge(claim(gain(50)), Evidence({"r": run(*cells(0.4))}))
    assert found.verdict == U and found.check == "sign-flip test: differs, supported"
    (found,) = judge(claim(gain(50)), Evidence({"r": run(*cells(0.02))}))
    assert found.verdict == S and found.check == "sign-flip test: agrees"


def test_what_is_missing_is_named():
    only = Evidence({"r": frame("none", **CIFAR)})
    (found,) = judge(claim(gain(50)), only)
    assert (found.verdict, found.n, found.level) == (U, 0, 0)
    assert found.missing == ("experiments/batch_runs.flags",)
    assert found.note == "Missing from the given runs: batch."
    (nothing,) = judge(claim(gain(50)), Evidence({}))
    assert nothing.missing == nothing.needs and nothing.runs == ()


def test_what_cannot_be_compared_is_said():
    frames = [frame("none", **CIFAR, epochs=3), frame("batch", **CIFAR)]
    (found,) = judge(claim(gain(50)), Evidence({"r": run(*frames)}))
    assert found.verdict == U and found.missing == ()
    assert found.note == "Not compared: the sides differ in epochs, evaluations."


@pytest.mark.parametrize(
    ("gains", "verdict", "shown"),
    [
        ({"b50": 0.1, "b10": 0.2}, S, "X.1"),
        ({"b50": 0.1, "b10": 0.0}, U, "X.2"),
        ({"b50": 0.0, "b10": -0.1}, C, "X.2"),
        ({"b50": -0.1, "b10": -0.2}, C, "X.2"),
        ({"b50": 0.0, "b10": 0.0}, N, "X.2"),
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
    assert f"shows {shown}." in whole.note and whole.note.endswith("A remark.")
    assert whole.needs == own.needs
    assert ("Not measured: X.2." in whole.note) == (len(gains) == 1)
    assert bool(whole.missing) == (len(gains) == 1)


def test_the_p_value_of_several_parts():
    own = evidence(b50=0.1, b10=0.004)
    whole, *parts = judge(claim(gain(50), gain(10)), own)
    assert whole.p == max(part.p for part in parts)
    false = evidence(b50=-0.1, b10=-0.004)
    whole, *parts = judge(claim(gain(50), gain(10)), false)
    assert whole.p == pytest.approx(2 * min(part.p for part in parts))


def test_the_row_of_an_undecided_claim_shows_the_part_of_its_p_value():
    """Both parts are nearer to being false, the first more than the second."""
    own = evidence(noise=0.01, b50=-0.013, b10=-0.011)
    whole, first, second = judge(claim(gain(50), gain(10)), own)
    assert whole.verdict == U and first.p < second.p
    assert whole.p == pytest.approx(2 * first.p) and "shows X.1." in whole.note


@pytest.mark.parametrize(
    ("gains", "verdict", "shown"),
    [
        ({"b50": 0.1, "b10": 0.2, "b5": -0.1}, S, "X.1"),
        ({"b50": -0.1, "b10": -0.2, "b5": 0.1}, C, "X.1"),
        ({"b50": 0.1, "b10": 0.0, "b5": -0.1}, U, "X.2"),
    ],
)
def test_most_parts(gains, verdict, shown):
    own = claim(gain(50), gain(10), gain(5), test="most")
    whole, *parts = judge(own, evidence(**gains))
    assert whole.verdict == verdict
    assert f"shows {shown}." in whole.note
    (same,) = (row for row in parts if row.id == shown)
    assert whole.estimate == same.estimate


def test_pooled_parts():
    own = claim(gain(50), gain(10), test="pooled")
    whole, first, second = judge(own, evidence(b50=0.05, b10=-0.01))
    assert (first.verdict, second.verdict, whole.verdict) == (S, C, S)
    assert whole.estimate == pytest.approx((first.estimate + second.estimate) / 2)
    assert whole.statistic.endswith("mean over 2 parts") and whole.n == 5
    whole, *_ = judge(own, evidence(b50=0.05))
    assert (whole.verdict, whole.n) == (U, 0) and "Not measured: X.2." in whole.note


def test_all_parts_have_the_same_seeds():
    both = Evidence(
        {
            "a": run(*cells_of(50, range(9))),
            "b": run(*cells_of(10, range(7))),
        }
    )
    rows = judge(claim(gain(50), gain(10)), both)
    assert [row.n for row in rows] == [7, 7, 7]
    assert all(row.level == 0.95 and row.exploratory for row in rows)


def cells_of(size: int, seeds):
    for norm, by in (("none", 0.0), ("batch", 0.1)):
        place: dict[str, Any] = CIFAR | {"batch_size": size}
        yield frame(norm, **place, seeds=seeds, test=spread(0.5 + by))


def test_new_seeds_replace_those_that_chose_the_rules():
    (found,) = judge(claim(gain(50)), evidence(range(10), b50=0.1))
    assert found.exploratory and found.n == 10
    (found,) = judge(claim(gain(50)), evidence(range(11), b50=0.1))
    assert not found.exploratory and found.n == 5
    (found,) = judge(claim(gain(50)), evidence(range(6, 26), b50=0.1))
    assert not found.exploratory and found.n == 20


def test_a_claim_knows_which_seeds_were_seen_before_its_rule():
    own = dataclasses.replace(claim(gain(50)), seen=frozenset(range(8)))
    (found,) = judge(own, evidence(range(12), b50=0.1))
    assert found.exploratory and found.n == 12
    (found,) = judge(own, evidence(range(13), b50=0.1))
    assert not found.exploratory and found.n == 5


def test_parts_without_common_seeds_say_so():
    """Each keeps its own. They may even be from different devices."""
    new = {"a": run(*cells_of(50, range(5))), "b": run(*cells_of(10, range(100, 106)))}
    own = claim(gain(50), gain(10))
    [row, *parts] = judge(own, Evidence(new, {"a": "gpu", "b": "cpu"}))
    assert [part.n for part in parts] == [5, 6]
    assert "no seeds in common: each has its own, on cpu and gpu." in row.note
    [row, *_] = judge(own, Evidence(new))
    assert "no seeds in common: each has its own." in row.note
    same = {"a": run(*cells_of(50, range(5)), *cells_of(10, range(6)))}
    assert "in common" not in judge(own, Evidence(same))[0].note


def test_an_undecided_claim_shows_a_part_that_has_values():
    whole, first, second = judge(claim(gain(50), gain(10)), evidence(b10=0.0))
    assert (first.n, second.n) == (0, 5) and whole.n == 5


def test_an_undecided_claim_says_what_would_decide_it():
    (found,) = judge(claim(gain(50)), evidence(noise=0.01, b50=0.006))
    assert found.verdict == U and 5 < found.seeds_needed < 200
    steps = 2 * 20 * 1000  # two networks of 20 epochs
    assert found.member_steps == found.seeds_needed * steps
    assert found.cost.startswith(f"{found.seeds_needed:.0f} new seeds (")
    (decided,) = judge(claim(gain(50)), evidence(b50=0.1))
    assert decided.cost == ""
    (missing,) = judge(claim(gain(50)), Evidence({}))
    assert missing.cost == ""


def test_a_shared_network_costs_once():
    (one,) = judge(claim(gain(50)), evidence(noise=0.02, b50=0.003))
    twice = claim(gain(50), gain(50, within(0.2)))
    both, *_ = judge(twice, evidence(noise=0.02, b50=0.003))
    each = [row.member_steps / row.seeds_needed for row in (one, both)]
    assert each[0] == each[1] == 40000


@pytest.mark.parametrize("by", [0.1, -0.1, 0.0])
def test_smaller_networks_than_the_source_has_decide_nothing(by):
    scale = Scale("a wide network", {"width": 2.0, "epochs": 20.0}, "wide.flags")
    own = claim(gain(50), gain(10), scale=scale, remark="A remark.")
    rows = judge(own, evidence(b50=by, b10=by))
    for row in rows:
        assert row.verdict == SMALL and row.words == f"{SMALL}: width 1"
        assert row.n == 5 and row.check == "" and row.p != row.p
    note = "The source: a wide network. wide.flags has this setting. A remark."
    assert rows[0].note == note and rows[0].cost == ""
    (missing,) = judge(claim(gain(50), scale=scale), Evidence({}))
    assert missing.verdict == U and missing.missing


def test_networks_of_the_source_decide():
    scale = Scale("this", {"width": 1.0, "dataset": ("cifar10",), "epochs": 20.0})
    (found,) = judge(claim(gain(50), scale=scale), evidence(b50=0.1))
    assert found.verdict == S
    other = Scale("another", {"dataset": ("mnist",), "steps": 10**6})
    (found,) = judge(claim(gain(50), scale=other), evidence(b50=0.1))
    assert found.words == f"{SMALL}: cifar10, 20000 steps"


@pytest.mark.parametrize(
    ("gains", "says"),
    [
        ({"b50": 0.1, "b10": 0.2}, S),
        ({"b50": 0.1, "b10": -0.1}, C),
        ({"b50": 0.0, "b10": 0.0}, N),
        ({"b50": 0.1, "b10": 0.0}, U),
        ({"b50": 0.1}, U),
    ],
)
def test_what_runs_below_the_scale_say_is_kept(gains, says):
    scale = Scale("a wide network", {"width": 2.0})
    own = claim(gain(50), gain(10), scale=scale)
    whole, *parts = judge(own, evidence(**gains))
    same, *_ = judge(claim(gain(50), gain(10)), evidence(**gains))
    assert whole.verdict == SMALL and whole.p != whole.p
    assert whole.said == same.said == together(own, [part.said for part in parts])
    assert whole.said.verdict == says


def test_images_that_are_held_out_are_not_trained_on():
    scale = Scale("this", {"train_size": 50000})
    for held_out, verdict in ((5000, S), (25000, SMALL)):
        frames = [
            frame(norm, **CIFAR, validation=held_out, test=spread(test))
            for norm, test in (("none", 0.5), ("batch", 0.6))
        ]
        (found,) = judge(claim(gain(50), scale=scale), Evidence({"r": run(*frames)}))
        assert found.verdict == verdict
    assert found.words == f"{SMALL}: 25000 images"


def test_a_verdict_that_was_chosen_to_match_says_so():
    own = claim(gain(50), gain(10), chosen="chosen to match")
    whole, *parts = judge(own, evidence(b50=0.1, b10=0.2))
    assert whole.verdict == S
    assert {row.words for row in (whole, *parts)} == {f"{S}, chosen to match"}


def test_a_check_of_few_seeds_that_can_tell_nothing_of_many_parts():
    """One of 2^n outcomes is rarer than 0.05 / 6 from n = 8 on."""
    sizes = (2, 4, 5, 8, 10, 20)
    own = claim(*map(gain, sizes))
    checks = []
    for n in (6, 7, 8):
        false = evidence(range(n), **{f"b{size}": -0.1 for size in sizes})
        whole, first, *_ = judge(own, false)
        assert whole.verdict == C and first.check == "sign-flip test: agrees"
        checks.append(whole.check.partition(": ")[2])
    assert checks == ["cannot tell at this n"] * 2 + ["agrees"]
    true = evidence(range(6), **{f"b{size}": 0.1 for size in sizes})
    assert judge(own, true)[0].check == "sign-flip test: agrees"


def test_equal_seeds_have_no_t_test():
    frames = [
        frame(norm, **CIFAR, test=x) for norm, x in (("none", 0.5), ("batch", 0.6))
    ]
    (found,) = judge(claim(gain(50)), Evidence({"r": run(*frames)}))
    assert (found.verdict, found.n) == (U, 5) and found.p == pytest.approx(2 / 32)
    assert found.note == "All seeds are equal, so the sign test decides."
    assert found.value == "10.000 points" and "differs" not in found.check


def test_an_identity_has_no_statistic():
    none = side("none", "a", {"norm": "none"})
    own = claim(level(FINAL_TEST, none, identity(60)))
    (found,) = judge(own, evidence(b50=0.0))
    assert found.verdict == "identity holds" and found.words.startswith(
        "identity holds to 50."
    )
    assert found.n == 5 and found.p != found.p and found.low != found.low
    assert found.value == f"{found.estimate:.3f} points" and not found.exploratory
    (found,) = judge(claim(level(FINAL_TEST, none, identity(1))), evidence(b50=0.0))
    assert found.verdict == C and found.words == "contradicted by a counterexample"
