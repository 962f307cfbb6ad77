"""The answer is computed from the ledger: it changes when verdicts change."""

import dataclasses
import itertools
import math
import re

import pytest

from normlab.claims import CLAIMS
from normlab.claims.judge import together
from normlab.claims.rules import CONTRADICTED, VERDICTS, Statements
from normlab.page import answer, judged, sure
from normlab.page.findings import FINDINGS
from normlab.words import conjoined
from tests.page.conftest import verdict

NAN = math.nan
UNMEASURED = {"n": 0, "estimate": NAN, "low": NAN, "high": NAN, "level": 0.0}
POINTS = [point for finding in FINDINGS for point in finding.points]


def rows(*verdicts) -> list[judged.Judged]:
    return judged.judged(verdicts, {})


def text_of(*verdicts) -> str:
    [found] = answer.answers(rows(*verdicts))
    return found.text


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("supported", "At high learning rates (0.01 and 0.03), the report's small "),
        ("contradicted", "At a high learning rate (0.01, 0.03 or both), the "),
        ("undecided", "It is open whether the report's small network tests"),
        (
            "no difference",
            "At high learning rates (0.01 and 0.03), the report's small ",
        ),
    ],
)
def test_a_sentence_is_that_of_its_verdict(kind, said):
    text = text_of(verdict("H4", kind, unit="points"))
    assert text.startswith(said)
    assert text.endswith(" (within 1 point).") == (kind == "no difference")


def test_no_difference_names_its_subject_and_the_margins_of_all_parts():
    parts = [
        verdict(f"C1p.{k}", "no difference", unit=part.unit)
        for k, part in enumerate(CLAIMS["C1p"].parts, 1)
    ]
    text = text_of(verdict("C1p", "no difference", unit="nats"), *parts)
    assert text.startswith("The report's small network trains as fast with batch norm")
    assert text.endswith("(within 1 point or 0.005 nats).")


def test_a_sentence_joins_the_claims_of_its_question():
    text = text_of(verdict("C1p", "contradicted"), verdict("C11p"))
    assert text.startswith("In at least one of three settings")
    assert ". Group norm slows down the training of the report's small" in text
    other = text_of(verdict("C1p"), verdict("C11p", "undecided"))
    assert other.startswith("The report's small network trains faster with")
    assert ". It is open whether group norm slows down" in other


def clauses(point) -> dict[str, str]:
    """Verdict -> the clause of a point."""
    said = {}
    for kind in VERDICTS:
        [row] = rows(verdict(point.claim, kind, unit="points", claim=point.claim))
        said[kind] = answer.clause(point, row).text
    return said


def test_every_clause_stands_alone():
    """It has its subject and verb, and refers to no other clause."""
    refers = r"\b(too|nor|also|does so|it does|it is not|it is|those|it (down|up))\b"
    for point in POINTS:
        said = clauses(point)
        assert len({said["supported"], said["contradicted"], said["undecided"]}) == 3
        for text in said.values():
            bare = text.removeprefix("it is open whether ")
            assert not re.search(refers, bare), text
            assert re.search(r"\b(norm|networks?|Theorem|groups|numbers)\b", bare), text
            assert "where one was claimed" not in text and "{" not in text


def test_every_pair_of_verdicts_says_what_each_says_alone():
    """Nothing in a clause depends on what stands beside it."""
    for finding in FINDINGS:
        for a, b in itertools.combinations(finding.points, 2):
            for kinds in itertools.product(VERDICTS, repeat=2):
                both = [
                    verdict(point.claim, kind, unit="points", claim=point.claim)
                    for point, kind in zip((a, b), kinds, strict=True)
                ]
                text = text_of(*both)
                alone = [text_of(one).removesuffix(".") for one in both]
                if a.name and a.name in alone[0] and b.name in alone[1]:
                    merged = alone[0].replace(a.name, f"{a.name} and {b.name}")
                    if alone[0].replace(a.name, b.name) == alone[1]:
                        alone = [merged]
                assert text == ". ".join([*alone, ""]).strip(), text


def test_a_sentence_is_one_thought_of_few_words():
    """At any verdict and scale. Only a list of conditions may be longer."""
    for point in POINTS:
        for kind in VERDICTS:
            ledger = verdict(point.claim, kind, unit="points", claim=point.claim)
            [row] = rows(ledger)
            for scale in ("", "1/8 width"):
                row = dataclasses.replace(row, scale=scale)
                clauses = (answer.clause(point, row),)
                [said] = answer.Answer(FINDINGS[0], clauses, ()).said
                text = said.text
                most = 46 if "three conditions: " in text else 31
                assert len(text.split()) <= most and ";" not in text, text
                assert text.startswith("Below the source's") == bool(scale)


# Words by which a clause says that one part of several fails, and not that all do.
_SOME = re.compile(
    r"at least one|or both|or at both|, or not more|not all lie|all of its|"
    r"identity or bound fails"
)


@pytest.mark.parametrize("point", POINTS, ids=lambda point: point.claim)
def test_a_clause_says_where_and_against_what_its_claim_was_tested(point):
    """All that its parts compare, and not more."""
    told = {
        "C2c": (
            "fewer steps to 70% training accuracy",
            "at most 1 point below",
            "1e-3",
        ),
        "C1tp": ("at rate 1e-3", "10, 50 (and|or) 100"),
        "C6p": ("1, 4 (and|or) 16",),
        "F3": (r"\(sequential, random or anti-correlated\)",),
        "C9h": (r"\(random or anti-correlated\)",),
        "B10": ("its accuracies in E1, E3 and E4", "only after convolutions"),
    }
    for text in filter(None, (point.true, point.false, point.open, point.same)):
        for words in told.get(point.claim, ()):
            assert re.search(words, text), text


@pytest.mark.parametrize("point", POINTS, ids=lambda point: point.claim)
def test_a_contradicted_claim_is_said_to_fail_in_some_part(point):
    """One false part contradicts a claim of several, all others being true."""
    claim = CLAIMS[point.claim]
    if len(claim.parts) == 1:
        return
    assert claim.test == "all"
    if not claim.exact:
        true, false = Statements(1e-9, 1.0, 1.0), Statements(1.0, 1e-9, 1.0)
        each = [true] * (len(claim.parts) - 1)
        assert together(claim, [*each, false]).verdict == CONTRADICTED
    assert _SOME.search(point.false), point.false
    assert not _SOME.search(point.true), point.true


def test_a_claim_says_no_difference_if_its_parts_can():
    for point in POINTS:
        parts = CLAIMS[point.claim].parts
        can = all(
            part.margin is not None
            and part.rule.kind in ("above", "below")
            and part.rule.bound == (1 if part.measure.ratio else 0)
            for part in parts
        )
        assert bool(point.same) == can, point.claim


def test_experiments_with_one_verdict_are_told_together():
    kinds = ["supported", "supported", "contradicted", "supported", "undecided"]
    text = text_of(*(verdict(f"R{k}", kind) for k, kind in enumerate(kinds, 1)))
    inside = "inside our 95% prediction intervals"
    assert text == (
        "The report's numbers of E1 (batch norm), E2 (rate 1e-4) and E4 (batches of "
        f"100) lie {inside}. The report's numbers of E3 (batches of 10) do not all lie "
        f"{inside}. It is open whether the report's numbers of E5 (1 group) lie "
        f"{inside}."
    )
    assert conjoined(["E1", "E2"]) == "E1 and E2"


def test_what_no_run_reaches_is_not_answered():
    found = answer.answers(rows(verdict("H4", "undecided", **UNMEASURED)))
    assert found == []
    only = answer.answers(
        rows(verdict("H4", "undecided", **UNMEASURED), verdict("C2c"))
    )
    assert [clause.row.verdict.id for clause in only[0].clauses] == ["C2c"]


def sure_of(*verdicts) -> str:
    [found] = answer.answers(rows(*verdicts))
    return found.said[0].sure


def test_it_says_how_sure_it_is():
    kept = verdict("H4", adjusted="supported", p_adjusted=0.01)
    lost = verdict("H4", adjusted="undecided", p_adjusted=0.4)
    assert sure_of(kept) == "5 seeds; also after correction for testing many claims"
    assert sure_of(lost).startswith("5 seeds; p below 0.05 by its own test, not")
    assert sure_of(verdict("H4", "undecided")) == "5 seeds"
    identity = verdict("F1", "identity holds", n=6, level=1.0, low=NAN, high=NAN)
    assert sure_of(identity) == "checked in 6 networks"
    both = answer.answers(rows(kept, verdict("C2c", adjusted="undecided")))[0]
    assert [one.sure for one in both.said] == [one.sure for one in both.clauses]
    alike = answer.answers(rows(verdict("R1"), verdict("R2", n=6)))[0]
    assert alike.said[0].sure == "" and len(alike.said[0].clauses) == 2


def test_a_prediction_that_is_not_rejected_is_no_evidence():
    kept = verdict("R2", "not rejected")
    assert (
        sure_of(kept) == "5 seeds; not rejected, which is no evidence that they agree"
    )
    against = verdict("R3", "contradicted", adjusted="undecided", p_adjusted=0.6)
    assert "by its own test, not after correction" in sure_of(against)
    found = judged.judged([kept, verdict("H4", adjusted="supported")], {})
    shown = ["After Holm's correction" in row.details for row in found]
    assert shown == [False, True]


def test_parts_that_differ_are_counted():
    parts = [
        verdict(f"C1p.{k}", x) for k, x in enumerate(["supported", "undecided"], 1)
    ]
    assert sure_of(verdict("C1p"), *parts).startswith(
        "5 seeds, parts: 1 supported, 1 undecided; "
    )


LIMITED = "not at its scale: vgg11, width 0.125, 3000 steps"


def smaller(id: str, *intervals: tuple[float, float], **changes):
    """A claim below the scale of its source, whose last interval is that of all
    further parts."""
    parts = CLAIMS[id].parts
    own = {"words": LIMITED, "n": 5, "claim": id}
    found = []
    for k, part in enumerate(parts):
        low, high = intervals[min(k, len(intervals) - 1)]
        ends = {"low": low, "high": high, "unit": part.unit}
        ends["estimate"] = (
            math.sqrt(low * high) if part.measure.ratio else ((low + high) / 2)
        )
        row = own | ends | {"statistic": part.statistic} | changes
        found.append(verdict(f"{id}.{k + 1}", "not at its scale", **row))
    return [found[0]._replace(id=id), *(found if len(parts) > 1 else [])]


WEAK, STRONG, TRUE, OPEN = (1.001, 1.5), (2.0, 2.5), (0.2, 0.3), (0.9, 1.2)


@pytest.mark.parametrize(
    ("intervals", "said"),
    [
        ([TRUE], "by all six measures, the loss of a VGG is smoother"),
        ([STRONG], "by at least one of six measures, the loss of a VGG is not smooth"),
        ([STRONG, TRUE], "by at least one of six measures, the loss of a VGG is not"),
        # At its scale, Bonferroni's test would leave it open: so here.
        ([WEAK, TRUE], "it is open whether the loss of a VGG is smoother"),
        ([OPEN, TRUE], "it is open whether the loss of a VGG is smoother"),
        ([TRUE, OPEN], "it is open whether the loss of a VGG is smoother"),
        ([(0.99, 1.01)], "by all six measures, the loss of a VGG is as smooth"),
    ],
)
def test_below_the_sources_scale_a_claims_own_test_says_a_direction(intervals, said):
    ledger = smaller("SF4", *intervals)
    text = text_of(*ledger)
    assert text.startswith("Below the source's scale, ")
    assert said in text
    sure_words = sure_of(*ledger)
    assert "5 seeds at 1/8 width, 3000 of 15000 steps (vgg11)" in sure_words.replace(
        ", parts: 6 undecided", ""
    )
    assert "no verdict on its claim" in sure_words


def test_below_the_sources_scale_a_missing_part_leaves_it_open():
    whole, *parts = smaller("SF4", TRUE)
    lost = [parts[0], *(one._replace(**UNMEASURED) for one in parts[1:])]
    assert "it is open whether" in text_of(whole, *lost)
    assert "it is open whether" in text_of(whole, *parts[:3])
    assert "it is open whether" not in text_of(whole, *parts)
    whole, *parts = smaller("SF4", STRONG)  # not even that it is false
    lost = [*parts[:5], parts[5]._replace(**UNMEASURED)]
    assert "it is open whether" in text_of(whole, *lost)


def test_below_the_sources_scale_a_claim_of_one_part_speaks_for_itself():
    reduces = "Batch norm reduces the internal covariate shift of a VGG"
    assert reduces in text_of(*smaller("SF3", (0.1, 0.4))).replace("batch", "Batch")
    assert "does not reduce the" in text_of(*smaller("SF3", (-0.4, 0.01)))
    # Of five seeds of which one diverged, the median's interval is no 95% interval.
    few = smaller("SF3", (0.1, 0.4), level=0.9375)
    assert "it is open whether" in text_of(*few)


def test_the_scale_stands_with_the_clause_that_has_it():
    text = text_of(*smaller("SF3", (0.1, 0.4)), verdict("SF3d"))
    assert text.startswith("Below the source's scale, batch norm reduces")
    assert ". Batch norm does not reduce" in text


def test_the_first_screen_has_one_sentence_of_each_question():
    [found] = answer.answers(rows(verdict("H4", "undecided"), verdict("C2c")))
    assert found.lead == found.said[1] and found.lead.strength
    assert found.lead.clauses[0].row.verdict.id == "C2c"
    [none] = answer.answers(rows(verdict("H4", "undecided")))
    assert none.lead == none.said[0] and not none.lead.strength


def test_the_first_screen_has_what_is_decided_first():
    undecided = [verdict(f.points[0].claim, "undecided") for f in FINDINGS]
    found = answer.answers(rows(*undecided))
    assert [a.finding.id for a in found] == [f.id for f in FINDINGS]
    assert len(answer.leading(found)) == 4
    last = FINDINGS[-1].points[0].claim
    decided = [v if v.id != last else verdict(last) for v in undecided]
    first = answer.leading(answer.answers(rows(*decided)))[0]
    assert first.finding is FINDINGS[-1]


def test_what_stays_after_correction_comes_first():
    own, kept = (
        verdict("H4", adjusted="undecided"),
        verdict("C2c", adjusted="supported"),
    )
    [found] = answer.answers(rows(own, kept))
    assert [one.strength for one in found.said] == [2, 3]
    assert found.lead == found.said[1]
    later = verdict("C1tp", adjusted="supported")  # of the third question
    small = smaller("SF4", (0.7, 0.9))
    every = answer.answers(rows(own, verdict("C1p", "undecided"), later, *small))
    order = [(a.finding.id, a.lead.strength) for a in answer.leading(every)]
    assert order == [
        ("generalization", 3),
        ("rates", 2),
        ("smoothness", 1),
        ("speed", 0),
    ]


def test_how_sure_all_verdicts_are():
    ledger = [
        verdict("C1", adjusted="supported", p_adjusted=0.01),
        verdict("C1p", "contradicted", adjusted="undecided", exploratory=True),
        verdict("C2a", "undecided"),
        *smaller("SF4", TRUE),
        verdict("E11", "undecided", **UNMEASURED),
    ]
    found = sure.how_sure(rows(*ledger))
    tests = (
        "Of 4 claims with a statistical test, 1 is supported and 1 is contradicted. "
        "After correction for testing many, 1 stays so. 1 claim has no verdict, "
        "because its networks are smaller, or trained for less time, than the source's."
    )
    explores = "1 verdict is exploratory: its seeds had been seen before."
    assert found.text == f"{tests} {explores}"
    assert found.counts == {
        "supported": 1, "contradicted": 1, "undecided": 1, "not at its scale": 1,
    }  # fmt: skip
    apart = [
        verdict("R2", "not rejected"),
        verdict("R3", "contradicted", adjusted="undecided"),
        verdict("R5", "undecided"),
        verdict("F1", "identity holds"),
        verdict("S4.1", "contradicted", claim="S4.1"),
    ]
    assert sure.how_sure(rows(*ledger, *apart)).text == (
        f"{tests} Of 2 identities and bounds, checked in every network without a "
        "statistic, 1 holds and 1 fails. Of 3 published experiments, 1 is not rejected "
        "by the prediction intervals of ours, 1 is rejected, and 1 open. "
        f"{explores}"
    )
    more = [*ledger, verdict("C2ap", adjusted="supported", p_adjusted=0.01)]
    text = sure.how_sure(rows(*more)).text
    assert "2 are supported and 1 is contradicted. " in text and "2 stay so." in text
    assert all(len(one.split()) <= 25 for one in text.split(". "))
    assert sure.how_sure([]).text == ""


def test_the_questions_are_about_claims_that_there_are():
    for finding in FINDINGS:
        named = [*(point.claim for point in finding.points), *finding.others]
        assert set(named) <= set(CLAIMS) and len(named) == len(set(named))
        assert finding.question.endswith("?")
        for point in finding.points:
            assert len({point.true, point.false}) == 2
    ids = [finding.id for finding in FINDINGS]
    assert len(ids) == len(set(ids))
