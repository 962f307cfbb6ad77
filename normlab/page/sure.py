"""How sure the verdicts are, in words: of one claim, and of all of them.

Three kinds of claims are told apart. A test can be corrected for testing many. An
identity or a bound is checked in every network. A prediction interval can only reject:
that a published number lies inside is no evidence for it.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from normlab.claims import CLAIMS
from normlab.claims.rules import (
    CONTRADICTED,
    IDENTITY_HOLDS,
    NOT_REJECTED,
    SUPPORTED,
    UNDECIDED,
    VERDICTS,
)
from normlab.page.judged import Judged, counts
from normlab.words import counted

TEST, CHECK, PREDICTION = "test", "check", "prediction"


def kind_of(row: Judged) -> str:
    """`TEST`, `CHECK` (of every network) or `PREDICTION`."""
    claim = CLAIMS.get(row.verdict.claim)
    if claim is not None and any(part.rule.kind == "predicted" for part in claim.parts):
        return PREDICTION
    exact = claim is not None and claim.exact
    return CHECK if exact or row.verdict.verdict == IDENTITY_HOLDS else TEST


def sureness(row: Judged) -> str:
    """How sure a verdict is: after correction, by its own test, or at what scale."""
    verdict = row.verdict
    seeds = ", ".join(filter(None, [counted(verdict.n, "seed"), _parts(row)]))
    if row.scale:
        small = "the source is larger, so this is no verdict on its claim"
        return f"{seeds} at {row.scale}; {small}"
    kind = kind_of(row)
    if kind == CHECK:
        return f"checked in {counted(verdict.n, 'network')}"
    if verdict.verdict == UNDECIDED:
        return seeds
    if verdict.verdict == NOT_REJECTED:
        return f"{seeds}; not rejected, which is no evidence that they agree"
    if stays(row):
        return f"{seeds}; also after correction for testing many claims"
    return f"{seeds}; p below 0.05 by its own test, not after correction"


def stays(row: Judged) -> bool:
    """Whether a verdict by a test is the same after correction for testing many."""
    return bool(row.verdict.adjusted) and row.verdict.adjusted == row.verdict.verdict


def _parts(row: Judged) -> str:
    """The verdicts on the parts if they differ: ``parts: 2 supported, 4 undecided``."""
    number = Counter(part.verdict.verdict for part in row.parts)
    if len(number) < 2:
        return ""
    order = [name for name in VERDICTS if name in number]
    return "parts: " + ", ".join(f"{number[name]} {name}" for name in order)


class Sure(NamedTuple):
    """How sure all verdicts are: the last sentence of the answer.

    Attributes:
      counts: verdict -> the number of measured claims that have it.
      text: the sentences.
    """

    counts: Mapping[str, int]
    text: str


def how_sure(rows: Sequence[Judged]) -> Sure:
    """How many claims are decided, how many stay so, and at what scale."""
    measured = [row for row in rows if row.measured]
    of_kind = {
        kind: [row for row in measured if kind_of(row) == kind]
        for kind in (TEST, CHECK, PREDICTION)
    }
    told = [
        _tests(of_kind[TEST]),
        _checks(of_kind[CHECK]),
        _predictions(of_kind[PREDICTION]),
        _limits(measured),
    ]
    return Sure(counts(measured), " ".join(filter(None, told)))


def _tests(rows: Sequence[Judged]) -> str:
    decided = [r for r in rows if r.verdict.verdict in (SUPPORTED, CONTRADICTED)]
    kept = [r for r in decided if stays(r)]
    supported, contradicted = _number(rows, SUPPORTED), _number(rows, CONTRADICTED)
    told = [
        f"Of {counted(len(rows), 'claim')} with a statistical test, "
        f"{supported} {_be(supported)} supported and "
        f"{contradicted} {_be(contradicted)} contradicted."
    ]
    if any(r.verdict.adjusted for r in decided):
        stay = "stays" if len(kept) == 1 else "stay"
        told.append(f"After correction for testing many, {len(kept)} {stay} so.")
    limited = sum(bool(row.scale) for row in rows)
    if limited:
        have, their = ("has", "its") if limited == 1 else ("have", "their")
        told.append(
            f"{counted(limited, 'claim')} {have} no verdict, because {their} networks "
            "are smaller, or trained for less time, than the source's."
        )
    return " ".join(told) if rows else ""


def _checks(rows: Sequence[Judged]) -> str:
    hold = _number(rows, SUPPORTED) + _number(rows, IDENTITY_HOLDS)
    fail = _number(rows, CONTRADICTED)
    identities = "identity or bound" if len(rows) == 1 else "identities and bounds"
    text = (
        f"Of {len(rows)} {identities}, checked in every network without a statistic, "
        f"{hold} {'holds' if hold == 1 else 'hold'} and "
        f"{fail} {'fails' if fail == 1 else 'fail'}."
    )
    return text if rows else ""


def _predictions(rows: Sequence[Judged]) -> str:
    inside, outside = _number(rows, NOT_REJECTED), _number(rows, CONTRADICTED)
    text = (
        f"Of {counted(len(rows), 'published experiment')}, {inside} "
        f"{_be(inside)} not rejected by the prediction intervals of ours, {outside} "
        f"{_be(outside)} rejected, and {len(rows) - inside - outside} open."
    )
    return text if rows else ""


def _limits(rows: Sequence[Judged]) -> str:
    exploring = sum(row.verdict.exploratory for row in rows)
    if not exploring:
        return ""
    their = "its" if exploring == 1 else "their"
    return (
        f"{counted(exploring, 'verdict')} {_be(exploring)} exploratory: {their} seeds "
        "had been seen before."
    )


def _number(rows: Sequence[Judged], verdict: str) -> int:
    return sum(row.verdict.verdict == verdict for row in rows)


def _be(number: int) -> str:
    return "is" if number == 1 else "are"
