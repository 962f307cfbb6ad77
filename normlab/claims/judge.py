"""Judges a claim by the evidence of runs: one test for all its parts."""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from normlab.claims.best import Choice
from normlab.claims.claim import Claim, Part
from normlab.claims.compare import PartResult, find
from normlab.claims.evidence import Evidence
from normlab.claims.part import (
    check_words,
    checked,
    images_words,
    judge_part,
    of_other_images,
    p_values,
    statements,
    tested,
    with_images,
    words_of,
)
from normlab.claims.rules import (
    ALPHA,
    CONTRADICTED,
    IDENTITY_HOLDS,
    NO_DIFFERENCE,
    NOT_AT_SCALE,
    NOT_REJECTED,
    NOTHING_SAID,
    SUPPORTED,
    UNDECIDED,
    VERDICTS,
    Statements,
)
from normlab.claims.seeds import common, cost_per_seed, hold, needed
from normlab.claims.verdict import Verdict
from normlab.statistics.multiplicity import at_least
from normlab.statistics.paired import LEAST_FLIPPED

# The statement that decides a verdict.
_COLUMN = {SUPPORTED: 0, CONTRADICTED: 1, NOT_REJECTED: 1, NO_DIFFERENCE: 2}


def judge(claim: Claim, evidence: Evidence) -> list[Verdict]:
    """The verdict on a claim, followed by a verdict on each part if there are several.

    All parts use the same seeds. A claim is contradicted if so many parts are false
    that its test fails (`Claim`): for ``all`` parts, if Bonferroni's test finds one.
    There is no difference if every part says so. The claim's row shows the statistic of
    the part that decides it, or the pooled one.
    """
    results = [find(evidence, part) for part in claim.parts]
    if not claim.exact:
        results = _of_same_seeds(claim, results)
    single = len(claim.parts) == 1
    rows = [
        judge_part(claim, part, claim.id if single else f"{claim.id}.{k}", result)
        for k, (part, result) in enumerate(zip(claim.parts, results, strict=True), 1)
    ]
    tell = _exact if claim.exact else _pooled if claim.test == "pooled" else _combined
    row = rows[0] if single else tell(claim, rows, results)
    row, *rows = (_as_chosen(claim, one) for one in (row, *rows))
    used = {run for result in results for run in result.runs}
    absent = {name for one in rows for name in one.missing}
    row = row._replace(
        id=claim.id,
        exploratory=any(one.exploratory for one in rows),
        needs=claim.needs,
        missing=tuple(name for name in claim.needs if name in absent),
        runs=tuple(run for run in evidence.runs if run in used),
    )
    chosen = [result.choice.words for result in results]
    told = (chosen[0] if single else "", *chosen)
    row, *rows = (
        _at_scale(claim, one, results, words)
        for one, words in zip((row, *rows), told, strict=True)
    )
    row = _with_cost(claim, row, results)
    notes = [row.note, _seeds_words(claim, results), claim.remark]
    if not single and any(result.choice.by_test for result in results):
        notes.insert(1, Choice(by_test=1).words)
    row = row._replace(note=" ".join(filter(None, notes)))
    return [row] if single else [row, *rows]


def _of_same_seeds(claim: Claim, results: list[PartResult]) -> list[PartResult]:
    """The results for the seeds of all measured parts, if they have some in common."""
    seeds = common(claim, results)
    if seeds is None:
        return results

    def cut(result: PartResult) -> PartResult:
        if result.values.empty:
            return result
        members = result.members[result.members["seed"].isin(seeds)]
        return result._replace(values=result.values.loc[seeds], members=members)

    return [cut(result) for result in results]


def _seeds_words(claim: Claim, results: Sequence[PartResult]) -> str:
    """That parts have no seeds in common, or ""."""
    measured = [result for result in results if len(result.values)]
    if claim.exact or not measured or common(claim, results) is not None:
        return ""
    devices = {d for r in measured for d in r.members.get("device", ()) if d}
    where = f", on {' and '.join(sorted(devices))}" if len(devices) > 1 else ""
    return f"The parts have no seeds in common: each has its own{where}."


def _values(results: Sequence[PartResult]) -> list[np.ndarray]:
    return [result.values.to_numpy(float) for result in results]


def _combined(
    claim: Claim, rows: list[Verdict], results: Sequence[PartResult]
) -> Verdict:
    values = _values(results)
    each = [statements(*pair) for pair in zip(claim.parts, values, strict=True)]
    found = together(claim, each)
    rule = claim.parts[0].rule
    verdict = rule.verdict(found)
    row = rows[_shown(claim, verdict, found, each, rows)]
    own = [checked(*pair) for pair in zip(claim.parts, values, strict=True)]
    other = _verdict_of(claim, own)
    drawn = [
        of_other_images(part, x, result.images_sd) or statements(part, x)
        for part, x, result in zip(claim.parts, values, results, strict=True)
    ]
    images = any(one.images for one in rows)
    return row._replace(
        verdict=verdict,
        words=words_of(verdict, row.unit, row.estimate),
        **(p_values(rule, found) if row.n else {}),
        check=check_words(row.n, verdict, other, _can_tell(claim, row.n, verdict)),
        images=images_words(found.verdict, _verdict_of(claim, drawn)) if images else "",
        note=_counts(claim, rows, row),
        asked=_asked(claim, row),
    )


def _verdict_of(claim: Claim, each: Sequence[Statements | None]) -> str | None:
    """The verdict on a claim; None if nothing can be said about a part."""
    known = [one for one in each if one is not None]
    return together(claim, known).verdict if len(known) == len(each) else None


def together(claim: Claim, each: Sequence[Statements]) -> Statements:
    """The statements about a claim that needs all or most of its parts."""
    pairs = zip(np.array(each).T, _numbers(claim, len(each)), strict=True)
    return Statements(*(at_least(p, number) for p, number in pairs))


def _numbers(claim: Claim, parts: int) -> tuple[int, int, int]:
    """Of how many parts each of the `Statements` has to be true."""
    wanted = hold(claim, parts)
    return wanted, parts - wanted + 1, parts


def _can_tell(claim: Claim, n: int, verdict: str) -> bool:
    """Whether a sign-flip test of so few seeds can come to a verdict on all parts.

    Its smallest p-value is that of one outcome in 2^n.
    """
    if n < LEAST_FLIPPED or verdict not in _COLUMN:
        return True
    least = Statements(*[2 * 0.5**n] * 3)
    return together(claim, [least] * len(claim.parts))[_COLUMN[verdict]] <= ALPHA


def _shown(
    claim: Claim,
    verdict: str,
    found: Statements,
    each: Sequence[Statements],
    rows: list[Verdict],
) -> int:
    """The part that decides: the weakest of as many as the verdict needs.

    Where nothing was rejected, it is the part that is missing for what is nearest.
    """
    nearest = int(found.contradicts < found.supports)
    column = _COLUMN.get(verdict, nearest)
    measured = [k for k, row in enumerate(rows) if row.n] or [0]
    order = sorted(measured, key=lambda k: each[k][column])
    number = _numbers(claim, len(each))[column]
    return order[min(number, len(order)) - 1]


def _counts(claim: Claim, rows: list[Verdict], shown: Verdict) -> str:
    number = {word: sum(row.verdict == word for row in rows) for word in VERDICTS}
    kinds = ", ".join(f"{n} {word}" for word, n in number.items() if n)
    must = f"{_how_many(claim)} must hold"
    note = f"{len(rows)} parts: {kinds}; {must}. This row shows {shown.id}."
    return " ".join(filter(None, [note, _missing(rows)]))


def _how_many(claim: Claim) -> str:
    return "most" if claim.test == "most" else "all"


def _asked(claim: Claim, shown: Verdict) -> str:
    return f"{_how_many(claim)} parts; shown: {shown.id}"


def _missing(rows: list[Verdict]) -> str:
    absent = [row.id for row in rows if not row.n]
    return f"Not measured: {', '.join(absent)}." if absent else ""


def _exact(claim: Claim, rows: list[Verdict], results: Sequence[PartResult]) -> Verdict:
    """The first part that fails, or is not measured, or the first."""
    order = (CONTRADICTED, UNDECIDED, IDENTITY_HOLDS, SUPPORTED)
    worst = min(rows, key=lambda row: order.index(row.verdict))
    return worst._replace(note=_counts(claim, rows, worst), asked=_asked(claim, worst))


def _pooled(
    claim: Claim, rows: list[Verdict], results: Sequence[PartResult]
) -> Verdict:
    """The mean over the parts, for each seed."""
    part = claim.parts[0]
    absent = _missing(rows)
    pooled = pd.concat([r.values for r in results], axis=1, join="inner").mean(axis=1)
    values = np.empty(0) if absent else pooled.to_numpy(float)
    own = statements(part, values) if len(values) else NOTHING_SAID
    other = checked(part, values)
    words = f"{part.measure.words}, mean over {len(rows)} parts"
    note = f"The mean over {len(rows)} parts decides, which are shown for themselves."
    found = tested(part, values, own) if len(values) else {}
    check = check_words(len(values), own.verdict, other.verdict if other else None)
    if found:
        # The parts see the same images, so their errors do not average out.
        sd = float(np.mean([result.images_sd for result in results]))
        found |= with_images(part, values, own.verdict, sd)
    notes = (note, absent, found.pop("note", ""))
    told = {"statistic": words, "note": " ".join(filter(None, notes))}
    if not found:
        row = next((r for r in rows if not r.n), rows[0])
        return row._replace(**tested(part, values, NOTHING_SAID) | told, check="")
    return rows[0]._replace(**found, **told, check=check)


def _as_chosen(claim: Claim, row: Verdict) -> Verdict:
    """The verdict with the words that settings were chosen to match, if they were."""
    if not claim.chosen or row.verdict == UNDECIDED:
        return row
    return row._replace(words=f"{row.words}, {claim.chosen}")


def _at_scale(
    claim: Claim, row: Verdict, results: Sequence[PartResult], chosen: str
) -> Verdict:
    """The verdict, or that the networks of the claim are below its source's setting.

    What the runs say stays (`Verdict.said`), and how the best was ``chosen``.
    """
    used = [result.members for result in results if len(result.members)]
    if claim.scale is None or not used or not row.n:
        return row
    lacking = claim.scale.lacking(pd.concat(used))
    if not lacking:
        return row
    words = f"{NOT_AT_SCALE}: {', '.join(lacking)}"
    scale = "" if row.is_part else claim.scale.note
    note = " ".join(filter(None, (scale, chosen)))
    return row._replace(
        verdict=NOT_AT_SCALE,
        words=words,
        note=note,
        p=math.nan,
        p_no_difference=math.nan,
        check="",
        images="",
    )


def _with_cost(claim: Claim, row: Verdict, results: Sequence[PartResult]) -> Verdict:
    """Adds how many seeds would decide an undecided claim whose runs exist."""
    if row.verdict != UNDECIDED or row.missing or claim.exact or not row.n:
        return row
    parts: Sequence[Part] = claim.parts
    values = _values(results)
    if claim.test == "pooled":
        parts, values = parts[:1], [np.mean(values, axis=0)]
    seeds = needed(claim, parts, values)
    each = cost_per_seed(results)
    return row._replace(
        seeds_needed=seeds,
        member_steps=seeds * each.member_steps,
        cpu_seconds=seeds * each.cpu,
        gpu_seconds=seeds * each.gpu,
    )
