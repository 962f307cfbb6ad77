"""The answer is computed from the ledger: it changes when verdicts change."""

import math

import pytest

from normlab.claims import CLAIMS
from normlab.page import answer, judged
from normlab.page.findings import FINDINGS
from tests.page.conftest import verdict

NAN = math.nan
UNMEASURED = {"n": 0, "estimate": NAN, "low": NAN, "high": NAN, "level": 0.0}


def rows(*verdicts) -> list[judged.Judged]:
    return judged.judged(verdicts, {})


def text_of(*verdicts) -> str:
    [found] = answer.answers(rows(*verdicts))
    return found.text


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("supported", "Batch norm trains at learning rates at which"),
        ("contradicted", "Batch norm does not raise the learning rate at which"),
        ("undecided", "It is open whether batch norm raises the learning rate"),
        ("no difference", "There is no difference larger than 1 point"),
    ],
)
def test_a_sentence_is_that_of_its_verdict(kind, said):
    words = "no difference larger than 1 point" if kind == "no difference" else kind
    assert text_of(verdict("H4", kind, words=words)).startswith(said)


def test_a_sentence_joins_the_claims_of_its_question():
    text = text_of(verdict("C1p", "contradicted"), verdict("C11p"))
    assert text.endswith("its small network; group norm slows it down.")
    assert text.startswith("At the report's learning rates, batch norm does not speed")
    other = text_of(verdict("C1p"), verdict("C11p", "undecided"))
    assert "batch norm speeds up" in other
    assert other.endswith("it is open whether group norm slows it down.")


def test_what_no_run_reaches_is_not_answered():
    found = answer.answers(rows(verdict("H4", "undecided", **UNMEASURED)))
    assert found == []
    only = answer.answers(
        rows(verdict("H4", "undecided", **UNMEASURED), verdict("C2c"))
    )
    assert [clause.row.verdict.id for clause in only[0].clauses] == ["C2c"]


def sure_of(*verdicts) -> str:
    [found] = answer.answers(rows(*verdicts))
    return found.sure


def test_it_says_how_sure_it_is():
    kept = verdict("H4", adjusted="supported", p_adjusted=0.01)
    lost = verdict("H4", adjusted="undecided", p_adjusted=0.4)
    assert sure_of(kept) == "5 seeds; also after correction for testing many claims"
    assert sure_of(lost).startswith("5 seeds; 95% sure alone, not after correction")
    assert sure_of(verdict("H4", "undecided")) == "5 seeds"
    identity = verdict("F1", "identity holds", n=6, level=1.0, low=NAN, high=NAN)
    assert sure_of(identity) == "checked in 6 networks"
    both = answer.answers(rows(kept, verdict("C2c", adjusted="undecided")))[0]
    assert both.sure == "" and both.clauses[0].sure != both.clauses[1].sure


LIMITED = "not at its scale: vgg11, width 0.125, 3000 steps"


def smaller(id: str, low: float, high: float, **changes):
    """A claim below the scale of its source, and its measured first part."""
    statistic = CLAIMS[id].parts[0].statistic
    own = {"words": LIMITED, "unit": "ratio", "low": low, "high": high, "n": 5}
    own |= {"estimate": math.sqrt(low * high), "statistic": statistic} | changes
    return verdict(id, "not at its scale", **own), verdict(
        f"{id}.1", "not at its scale", **own
    )


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        (0.7, 0.9, "with batch norm, the loss is smoother"),
        (1.1, 1.3, "with batch norm, the loss is not smoother"),
        (0.9, 1.1, "it is open whether batch norm makes the loss smoother"),
    ],
)
def test_below_the_sources_scale_it_is_a_direction_with_the_scale(low, high, said):
    text = text_of(*smaller("SF4", low, high))
    assert text.startswith("At 1/8 width, 3000 of 15000 steps (vgg11), ")
    assert said in text
    assert "no verdict on its claim" in sure_of(*smaller("SF4", low, high))


def test_the_first_screen_has_what_is_decided_first():
    undecided = [verdict(f.points[0].claim, "undecided") for f in FINDINGS]
    found = answer.answers(rows(*undecided))
    assert [a.finding.id for a in found] == [f.id for f in FINDINGS]
    assert len(answer.leading(found)) == 4
    last = FINDINGS[-1].points[0].claim
    decided = [v if v.id != last else verdict(last) for v in undecided]
    first = answer.leading(answer.answers(rows(*decided)))[0]
    assert first.finding is FINDINGS[-1]


def test_how_sure_all_verdicts_are():
    ledger = [
        verdict("C1", adjusted="supported", p_adjusted=0.01),
        verdict("C1p", "contradicted", adjusted="undecided", exploratory=True),
        verdict("C2a", "undecided"),
        *smaller("SF4", 0.7, 0.9),
        verdict("E11", "undecided", **UNMEASURED),
    ]
    found = answer.how_sure(rows(*ledger))
    assert found.text == (
        "Of 4 claims that were tested, 1 is supported and 1 is contradicted; 1 stays "
        "so after correction for testing many; 1 claim has no verdict, because its "
        "networks are smaller or trained for less time than the source's; 1 verdict is "
        "exploratory: its seeds were seen when the rules were set."
    )
    assert found.counts == {
        "supported": 1, "contradicted": 1, "undecided": 1, "not at its scale": 1,
    }  # fmt: skip
    more = [*ledger, verdict("C2ap", adjusted="supported", p_adjusted=0.01)]
    assert "2 are supported and 1 is contradicted; 2 stay so" in (
        answer.how_sure(rows(*more)).text
    )


def test_the_questions_are_about_claims_that_there_are():
    for finding in FINDINGS:
        named = [*(point.claim for point in finding.points), *finding.others]
        assert set(named) <= set(CLAIMS) and len(named) == len(set(named))
        assert finding.question.endswith("?")
        for point in finding.points:
            assert len({point.true, point.false}) == 2
    ids = [finding.id for finding in FINDINGS]
    assert len(ids) == len(set(ids))
