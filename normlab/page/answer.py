"""The answer to the page's question, as sentences computed from the ledger.

A sentence says what the verdicts say, how sure they are, and at what scale. It changes
when they change. Nothing here reads a run.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from normlab.claims.rules import (
    CONTRADICTED,
    IDENTITY_HOLDS,
    NO_DIFFERENCE,
    NOT_AT_SCALE,
    SUPPORTED,
    UNDECIDED,
)
from normlab.page.findings import FINDINGS, Finding, Point
from normlab.page.judged import Judged, counts
from normlab.words import counted

# Sentences about findings; one more says how sure all verdicts are.
_MOST = 4
_OPEN = "open"


class Clause(NamedTuple):
    """What a claim says, with the claim behind it.

    Attributes:
      text: the clause.
      row: the judged claim.
      sure: how sure it is, in words.
      measured: the estimate with its interval, or "".
    """

    text: str
    row: Judged
    sure: str
    measured: str


class Answer(NamedTuple):
    """The answer to the question of a finding.

    Attributes:
      finding: the finding.
      clauses: what its claims say; together they are one sentence.
      others: further judged claims about the question.
    """

    finding: Finding
    clauses: tuple[Clause, ...]
    others: tuple[Judged, ...]

    @property
    def text(self) -> str:
        """The answer as one sentence: at which scale, and what the claims say."""
        scales = {one.row.scale for one in self.clauses}
        scale = scales.pop() if len(scales) == 1 else ""
        text = "; ".join(
            one.text
            if scale or not one.row.scale
            else f"at {one.row.scale}, {one.text}"
            for one in self.clauses
        )
        text = f"at {scale}, {text}" if scale else text
        return f"{text[:1].upper()}{text[1:]}."

    @property
    def sure(self) -> str:
        """How sure the answer is, in words; "" if its claims are not equally sure."""
        each = {one.sure for one in self.clauses}
        return each.pop() if len(each) == 1 else ""


def answers(
    rows: Sequence[Judged], findings: Sequence[Finding] = FINDINGS
) -> list[Answer]:
    """The answers to those questions whose claims were measured.

    Args:
      rows: the judged claims.
      findings: the questions, in order of importance.
    """
    by_id = {row.verdict.id: row for row in rows}
    found = []
    for finding in findings:
        clauses = tuple(
            clause(point, by_id[point.claim])
            for point in finding.points
            if point.claim in by_id and by_id[point.claim].measured
        )
        others = tuple(
            by_id[name]
            for name in finding.others
            if name in by_id and by_id[name].measured
        )
        if clauses:
            found.append(Answer(finding, clauses, others))
    return found


def leading(found: Sequence[Answer]) -> list[Answer]:
    """The answers for the first screen: those that say something come first."""
    decided = [a for a in found if any(direction(c.row) != _OPEN for c in a.clauses)]
    rest = [a for a in found if a not in decided]
    return [*decided, *rest][:_MOST]


def clause(point: Point, row: Judged) -> Clause:
    """What a judged claim says about a question."""
    said = {"true": point.true, "false": point.false}.get(direction(row))
    verdict = row.verdict
    if verdict.verdict == NO_DIFFERENCE:
        said = f"there is {verdict.words} where one was claimed"
    elif said is None:
        said = f"it is open whether {point.open}"
    return Clause(said, row, sureness(row), row.value)


def direction(row: Judged) -> str:
    """``true``, ``false`` or ``open``: what the measured interval says of a claim.

    Below the scale of the source, this is a direction and no verdict.
    """
    verdict = row.verdict.verdict
    if verdict in (SUPPORTED, IDENTITY_HOLDS):
        return "true"
    if verdict == CONTRADICTED:
        return "false"
    if verdict == NO_DIFFERENCE:
        return "same"
    if verdict != NOT_AT_SCALE:
        return _OPEN
    # All parts have to speak for a claim, and one is enough against it.
    sides = [
        one.distance.side if one.distance else 0
        for one in (row.parts or (row,))
        if one.verdict.n
    ]
    if sides and all(side > 0 for side in sides):
        return "true"
    return "false" if any(side < 0 for side in sides) else _OPEN


def sureness(row: Judged) -> str:
    """How sure a verdict is: after correction, by its own test, or at what scale."""
    verdict = row.verdict
    seeds = counted(verdict.n, "seed")
    if row.scale:
        return f"{seeds}; the source is larger, so this is no verdict on its claim"
    if verdict.verdict == IDENTITY_HOLDS or (verdict.n and verdict.level == 1):
        return f"checked in {counted(verdict.n, 'network')}"
    if verdict.verdict == UNDECIDED:
        return seeds
    if verdict.adjusted and verdict.adjusted == verdict.verdict:
        return f"{seeds}; also after correction for testing many claims"
    return f"{seeds}; 95% sure alone, not after correction for testing many claims"


class Sure(NamedTuple):
    """How sure all verdicts are: the last sentence of the answer.

    Attributes:
      counts: verdict -> the number of measured claims that have it.
      text: the sentence.
    """

    counts: Mapping[str, int]
    text: str


def how_sure(rows: Sequence[Judged]) -> Sure:
    """How many claims are decided, how many stay so, and at what scale."""
    measured = [row for row in rows if row.measured]
    number = counts(measured)
    decided = [r for r in measured if r.verdict.verdict in (SUPPORTED, CONTRADICTED)]
    kept = [r for r in decided if r.verdict.adjusted == r.verdict.verdict]
    tested = [r for r in decided if r.verdict.adjusted]
    supported, contradicted = number.get(SUPPORTED, 0), number.get(CONTRADICTED, 0)
    text = (
        f"Of {counted(len(measured), 'claim')} that were tested, "
        f"{supported} {_be(supported)} supported and "
        f"{contradicted} {_be(contradicted)} contradicted"
    )
    if tested:
        stay = f"{len(kept)} stay so" if len(kept) != 1 else "1 stays so"
        text += f"; {stay} after correction for testing many"
    limited = sum(bool(row.scale) for row in measured)
    if limited:
        have, their = ("has", "its") if limited == 1 else ("have", "their")
        text += (
            f"; {counted(limited, 'claim')} {have} no verdict, because {their} "
            "networks are smaller or trained for less time than the source's"
        )
    exploring = sum(row.verdict.exploratory for row in measured)
    if exploring:
        text += (
            f"; {counted(exploring, 'verdict')} {_be(exploring)} exploratory: "
            f"{'its' if exploring == 1 else 'their'} seeds were seen when the rules "
            "were set"
        )
    return Sure(number, text + ".")


def _be(number: int) -> str:
    return "is" if number == 1 else "are"
