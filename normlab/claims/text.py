"""The ledger as text for a terminal: how to read it, a table, and sums."""

import math
import textwrap
from collections import Counter
from collections.abc import Sequence
from itertools import zip_longest

from normlab.claims.best import BY_TEST
from normlab.claims.rules import ALPHA, UNDECIDED, VERDICTS
from normlab.claims.verdict import Verdict
from normlab.words import counted

WIDTH = 100  # characters of the longest line
# Of the columns. The claim, or the statistic of a part, is below its row.
_COLUMNS = {
    "claim": 7,
    "verdict": 25,
    "value [95% interval] unit": 33,
    "n": 2,
    "p": 7,
    "after Holm (p)": 21,
}
_INDENT = " " * 8

_READING = """How to read this. A claim is followed by its parts, and the words of each
row are below it. Values are means over n seeds with 95% intervals (Student's t on
differences paired by seed; geometric means for ratios). A claim has one test. p is
twice the one-sided p-value of its verdict. "after Holm" is the verdict after Holm's
correction within its family; on new seeds, exploratory claims count there as claims
without runs. "no difference" follows from two one-sided tests. "not
rejected" (R1 to R7) is no finding that could be corrected: the report's number lies
in the prediction interval of one more of our seeds, and p is that of the opposite.
"chosen to match": a setting was chosen on the same experiments, so the verdict is no
test. "[asked: ...]" is what has to hold: a bound on the mean, or how many parts, of
which the claim's row shows one. Rows of training curves say how long that was: the
report trained for 20 epochs, so a verdict after 3 or 5 is about early training. "?"
marks seeds that were seen before: 0 to 5, those of earlier runs if the rule has
changed, and those that had left the claim undecided if more were added or are to be.
Such a verdict explores, also after Holm. "!" marks a verdict that a
sign-flip test (six seeds or more) or a BCa bootstrap (five, for which it is too narrow)
does not share, unless so few seeds could not tell. "~" marks a verdict on the test
set that may not hold for other test images: an upper bound of their sampling error
would change it. An identity has no statistic: its value is the worst network. "[run:
...]" says how the runs fall short of the source's setting. "would be decided by" is
for a power of 80% of the claim's test at a level of 5%, before Holm's correction, if
the observed means and spreads are true."""


def reading() -> str:
    """What the columns and words of the table mean."""
    words = " ".join(_READING.split())
    return textwrap.fill(words, WIDTH, break_on_hyphens=False)


def table(verdicts: Sequence[Verdict]) -> list[str]:
    """The lines of the table, with its header. No line is longer than `WIDTH`."""
    lines = [*_row(tuple(_COLUMNS)), "-" * WIDTH]
    for verdict in verdicts:
        lines += rows(verdict) if verdict.is_part else ["", *rows(verdict)]
    return lines


def rows(verdict: Verdict) -> list[str]:
    """The lines of one verdict: its row, and its words below."""
    marks = "?" * verdict.exploratory + "!" * ("differs" in verdict.check)
    marks += "~" * ("differs" in verdict.images)
    p = "" if math.isnan(verdict.own_p) else _p(verdict.own_p)
    holm = ""
    if verdict.adjusted:
        kept = "?" * (verdict.exploratory and verdict.adjusted != UNDECIDED)
        holm = f"{verdict.adjusted}{kept} ({_p(verdict.p_adjusted)})"
    told, _, run = verdict.words.partition(": ")
    value = verdict.value or "-"
    first = _row((verdict.id, told + marks, value, str(verdict.n), p, holm))
    told = f" [asked: {verdict.asked}]" if verdict.asked else ""
    told += f" [run: {run}]" if run else ""
    told += " [best chosen on test images]" if BY_TEST in verdict.note else ""
    text = verdict.statistic
    if not verdict.is_part:
        # A claim of one part, or of a mean of several, has no row for its statistic.
        own = f" {text}." if "shown: " not in verdict.asked and text else ""
        text = f"{verdict.sentence}{own}"
    return [*first, *_wrapped(f"{text}{told}", _INDENT)]


def sums(verdicts: Sequence[Verdict]) -> list[str]:
    """How many claims have each verdict, and what would decide the undecided ones."""
    claims = [verdict for verdict in verdicts if not verdict.is_part]
    lines = [""]
    for family in dict.fromkeys(claim.family for claim in claims):
        own = [claim for claim in claims if claim.family == family]
        number = Counter(claim.verdict for claim in own)
        counts = ", ".join(f"{number[w]} {w}" for w in VERDICTS if number[w])
        kept = [claim for claim in own if claim.adjusted not in ("", UNDECIDED)]
        new = sum(not claim.exploratory for claim in kept)
        after = f"{len(kept)} after Holm" + f", {new} of them on new seeds" * bool(kept)
        lines.append(f"{family}: {len(own)} claims: {counts}; {after}")
    needed = "would be decided, before Holm, by"
    costs = [f"{c.id} {needed} {c.cost}" for c in claims if c.cost]
    scripts = [f"{c.id} on a GPU: {c.scripts}" for c in claims if c.scripts]
    missing = dict.fromkeys(name for verdict in verdicts for name in verdict.missing)
    absent = [f"missing: {', '.join(missing)}"] if missing else []
    for block in (costs, scripts, absent):
        lines += ["", *block] if block else []
    return [part for line in lines for part in (_wrapped(line) or [""])]


def reaches(verdicts: Sequence[Verdict]) -> bool:
    """Whether the runs have members that a claim is about."""
    return any(verdict.n for verdict in verdicts)


def none_reached(verdicts: Sequence[Verdict], runs: int) -> str:
    """One line for runs that no claim is about."""
    families = Counter(v.family for v in verdicts if not v.is_part)
    of = ", ".join(f"{count} of {family}" for family, count in families.items())
    which = "this run" if runs == 1 else "these runs"
    return (
        f"no claim is about {which}. The ledger has "
        f"{counted(families.total(), 'claim')} ({of}), about the runs of "
        "experiments/*.flags"
    )


def _row(cells: Sequence[str]) -> list[str]:
    """The lines of one row. Cells that are too long continue below."""
    widths = tuple(_COLUMNS.values())
    parts = (_wrapped(c, "", n) for c, n in zip(cells, widths, strict=True))
    return [
        " ".join(x.ljust(n) for x, n in zip(line, widths, strict=True)).rstrip()
        for line in zip_longest(*parts, fillvalue="")
    ]


def _wrapped(text: str, first: str = "", width: int = WIDTH) -> list[str]:
    """The lines of a text. If it begins at the margin, the others hang."""
    hang = _INDENT if width == WIDTH else ""
    return textwrap.wrap(
        text,
        width,
        initial_indent=first,
        subsequent_indent=hang,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _p(p: float) -> str:
    """Two digits, or as many as tell on which side of the level it is."""
    if p < 1e-4:
        return "<1e-4"
    digits = 2
    while digits < 9 and float(f"{p:.{digits}g}") == round(ALPHA, 9) != p:
        digits += 1
    return f"{p:.{digits}g}"
