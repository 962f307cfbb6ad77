"""Judges a claim by the evidence of runs."""

from normlab.claims.claim import Claim, Part, Verdict
from normlab.claims.compare import PartResult, find
from normlab.claims.evidence import Evidence
from normlab.claims.rules import (
    CONTRADICTED,
    LEAST_SEEDS,
    SUPPORTED,
    UNDECIDED,
    enough,
)
from normlab.words import counted

_WORST_FIRST = (CONTRADICTED, UNDECIDED, SUPPORTED)


def judge(claim: Claim, evidence: Evidence) -> list[Verdict]:
    """The verdict on a claim, followed by a verdict on each part if there are several.

    A claim with several parts is contradicted if any part is contradicted, supported if
    all parts are supported, and otherwise undecided. A claim about most parts follows
    the verdict that more than half of them have, and is otherwise undecided.

    The claim's row shows the statistic and interval of one part: the first measured
    part with the claim's verdict. If no such part was measured, it shows the first
    measured part. If no part was measured, it shows the first part with that verdict.
    """
    single = len(claim.parts) == 1
    parts = [
        _of_part(claim, part, claim.id if single else f"{claim.id}.{k}", evidence)
        for k, part in enumerate(claim.parts, start=1)
    ]
    if single:
        note = " ".join(filter(None, [parts[0].note, claim.remark]))
        return [parts[0]._replace(note=note)]
    return [_whole(claim, parts, evidence), *parts]


def _of_part(claim: Claim, part: Part, name: str, evidence: Evidence) -> Verdict:
    result = find(evidence, part)
    verdict = part.rule.verdict(result.interval)
    return Verdict(
        id=name,
        sentence=claim.sentence,
        source=claim.source,
        verdict=verdict,
        statistic="; ".join(filter(None, [part.statistic, result.length])),
        unit=part.unit,
        **result.interval._asdict(),
        rule=part.rule.words,
        needs=part.needs,
        missing=tuple(dict.fromkeys(side.flagfile for side in result.missing)),
        runs=result.runs,
        note=" ".join(filter(None, [_why(result, verdict), _lost(result)])),
        claim=claim.id,
    )


def _lost(result: PartResult) -> str:
    """A sentence about diverged members, or "" if no member diverged."""
    if not result.diverged:
        return ""
    verb = "counts" if result.diverged == 1 else "count"
    members = counted(result.diverged, "member")
    return f"{members} diverged and {verb} as worse than any other."


def _why(result: PartResult, verdict: str) -> str:
    """Why a part is undecided, or "" if it is decided."""
    if verdict != UNDECIDED:
        return ""
    if result.missing:
        names = "; ".join(dict.fromkeys(side.name for side in result.missing))
        return f"Missing from the given runs: {names}."
    if result.why:
        return f"Not compared: {result.why}."
    n, coverage = result.interval.n, result.interval.coverage
    if not enough(result.interval):
        seeds = "1 seed gives" if n == 1 else f"{n} seeds give"
        return (
            f"{seeds} an interval with {coverage:.0%} coverage; at least {LEAST_SEEDS} "
            "seeds are required."
        )
    return "The interval contains the bound of the rule."


def _whole(claim: Claim, parts: list[Verdict], evidence: Evidence) -> Verdict:
    count = {word: sum(p.verdict == word for p in parts) for word in _WORST_FIRST}
    if claim.most:
        more = (w for w in (SUPPORTED, CONTRADICTED) if 2 * count[w] > len(parts))
        verdict = next(more, UNDECIDED)
    else:
        verdict = next(word for word in _WORST_FIRST if count[word])
    told = [p for p in parts if p.verdict == verdict] or parts
    measured = (p for p in (*told, *parts) if p.n)
    shown = next(measured, told[0])
    used = {run for p in parts for run in p.runs}
    absent = {name for p in parts for name in p.missing}
    numbers = ", ".join(f"{count[word]} {word}" for word in reversed(_WORST_FIRST))
    note = f"{len(parts)} parts: {numbers}. This row shows {shown.id}."
    return shown._replace(
        id=claim.id,
        verdict=verdict,
        needs=claim.needs,
        missing=tuple(name for name in claim.needs if name in absent),
        runs=tuple(run for run in evidence.runs if run in used),
        note=" ".join(filter(None, [note, claim.remark])),
    )
