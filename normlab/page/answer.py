"""The answer to the page's question, as sentences computed from the ledger.

A sentence says what the verdicts say, how sure they are, and at what scale. It changes
when they change. Nothing here reads a run.
"""

from collections.abc import Sequence
from typing import NamedTuple

from normlab.claims import CLAIMS
from normlab.claims.bounds import part_of, statements_of
from normlab.claims.judge import together
from normlab.claims.margins import MARGINS, margin_words
from normlab.claims.rules import (
    CONTRADICTED,
    IDENTITY_HOLDS,
    NO_DIFFERENCE,
    NOT_AT_SCALE,
    NOT_REJECTED,
    SUPPORTED,
)
from normlab.page.finding import Finding, Point
from normlab.page.findings import FINDINGS
from normlab.page.judged import Judged
from normlab.page.sure import stays, sureness
from normlab.words import conjoined

# Sentences about findings; one more says how sure all verdicts are.
_MOST = 4
_OPEN = "open"
_SMALLER = "below the source's scale, "
# The directions of a claim that are the names of a clause.
_DIRECTIONS = {
    SUPPORTED: "true",
    IDENTITY_HOLDS: "true",
    NOT_REJECTED: "true",
    CONTRADICTED: "false",
    NO_DIFFERENCE: "same",
}


class Clause(NamedTuple):
    """What a claim says, with the claim behind it.

    Attributes:
      template: the clause, with ``{}`` for the name of its point if that has one.
      name: the name, or "".
      row: the judged claim.
      sure: how sure it is, in words.
      measured: the estimate with its interval, or "".
    """

    template: str
    name: str
    row: Judged
    sure: str
    measured: str

    @property
    def text(self) -> str:
        """The clause."""
        return self.template.format(self.name)


class Said(NamedTuple):
    """A sentence of an answer.

    Attributes:
      text: the sentence.
      clauses: the claims that say it: one, or several with the same clause.
    """

    text: str
    clauses: tuple[Clause, ...]

    @property
    def strength(self) -> int:
        """How much stands behind it; a larger number is stronger.

        3: a claim's verdict stays after correction for testing many; 2: there is one
        by a test of its own; 1: only networks below the source's scale say so; 0: it
        is open.
        """
        decided = [one.row for one in self.clauses if direction(one.row) != _OPEN]
        at_scale = [row for row in decided if not row.scale]
        return bool(decided) + bool(at_scale) + any(map(stays, at_scale))

    @property
    def sure(self) -> str:
        """How sure it is, in words; "" if its claims are not equally sure."""
        each = {one.sure for one in self.clauses}
        return each.pop() if len(each) == 1 else ""


class Answer(NamedTuple):
    """The answer to the question of a finding.

    Attributes:
      finding: the finding.
      clauses: what its claims say.
      others: further judged claims about the question.
    """

    finding: Finding
    clauses: tuple[Clause, ...]
    others: tuple[Judged, ...]

    @property
    def said(self) -> list[Said]:
        """One sentence for every clause; equal ones are told once, with all names."""
        alike: dict[str, list[Clause]] = {}
        for one in self.clauses:
            words = f"{_SMALLER if one.row.scale else ''}{one.template}"
            alike.setdefault(words, []).append(one)
        return [
            Said(_sentence(words.format(conjoined([c.name for c in own]))), tuple(own))
            for words, own in alike.items()
        ]

    @property
    def text(self) -> str:
        """The whole answer."""
        return " ".join(one.text for one in self.said)

    @property
    def lead(self) -> Said:
        """The sentence for the first screen: the strongest, the first of these."""
        return max(self.said, key=lambda one: one.strength)


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


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
    """The answers for the first screen: to the first questions; the strongest first."""
    decided = [a for a in found if a.lead.strength]
    rest = [a for a in found if a not in decided]
    shown = [*decided, *rest][:_MOST]
    return sorted(shown, key=lambda a: a.lead.strength, reverse=True)


def clause(point: Point, row: Judged) -> Clause:
    """What a judged claim says about a question."""
    said = {"true": point.true, "false": point.false}.get(direction(row))
    if direction(row) == "same" and point.same:
        said = f"{point.same} (within {_margins(row)})"
    elif said is None:
        said = f"it is open whether {point.open}"
    return Clause(said, point.name, row, sureness(row), row.value)


def direction(row: Judged) -> str:
    """``true``, ``false``, ``same`` or ``open``: what is measured of a claim.

    It is that of the verdict. Below the scale of the source there is none, and the
    claim's own test says what these networks show. It is open if a part is missing.
    """
    verdict = row.verdict.verdict
    if verdict != NOT_AT_SCALE:
        return _DIRECTIONS.get(verdict, _OPEN)
    claim = CLAIMS.get(row.verdict.claim)
    if claim is None:
        return _OPEN
    rows = [row] if claim.test == "pooled" or len(claim.parts) == 1 else row.parts
    if len(rows) not in (1, len(claim.parts)) or not all(r.verdict.n for r in rows):
        return _OPEN
    each = [statements_of(r.verdict, part_of(r.verdict, CLAIMS)) for r in rows]
    found = each[0] if len(each) == 1 else together(claim, each)
    return _DIRECTIONS.get(found.verdict, _OPEN)


def _margins(row: Judged) -> str:
    """The margins of a claim's parts: ``1 point or 0.005 nats``."""
    units = dict.fromkeys(one.verdict.unit for one in (row.parts or (row,)))
    return " or ".join(margin_words(unit) for unit in units if unit in MARGINS)
