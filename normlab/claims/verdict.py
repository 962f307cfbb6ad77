"""The verdict on a claim, or on one of its parts: a row of the ledger."""

import math
from typing import NamedTuple

from normlab.claims.cost import CPU, GPU, duration
from normlab.claims.gpu import scripts_of
from normlab.claims.rules import (
    NO_DIFFERENCE,
    NOT_AT_SCALE,
    NOTHING_SAID,
    UNDECIDED,
    Statements,
)
from normlab.statistics.intervals import short


class Verdict(NamedTuple):
    """The verdict on a claim, or on one of its parts.

    Attributes:
      id: the claim's id, or ``<id>.<k>`` for its k-th part.
      sentence, source: those of the claim.
      family: the family in which p-values are corrected.
      verdict: one of `normlab.claims.rules.VERDICTS`.
      words: the verdict with its margin, or how far an identity holds. For a number
        that can be one more of ours, how far our mean is off. Of a claim whose settings
        were chosen to match, it says so.
      adjusted: the verdict after Holm's correction in the family; "" for a part,
        without a statistic, and if nothing was rejected that could be corrected.
      statistic: a description of the statistic.
      unit: the unit of estimate, low and high.
      estimate, low, high, n, level: as in `normlab.statistics.paired.Estimate`; of an
        identity, the worst network and no interval. Without data, n and level are 0
        and the others are NaN.
      p: twice the one-sided p-value of the claim or of its opposite, whichever is
        smaller. NaN without a statistic. If the claim is that a number can be one more
        of ours, that of its opposite.
      p_no_difference: twice the one-sided p-value of a difference within the margin.
      p_adjusted: that of the verdict after Holm's correction; NaN without `adjusted`.
      check: what a test with other assumptions says, and whether it differs.
      images: for a difference between accuracies, what can be said of other test images
        of the same kind, and whether that differs. The verdict is on the test set.
      low_images, high_images: the interval for other test images, or a wider one
        (`normlab.claims.compare`); NaN if test images do not matter.
      exploratory: whether a seed that was seen before the rule was set is among them.
      seeds_needed: how many new seeds decide the claim with a power of 80%, before
        Holm's correction, if the observed mean and spread are true; infinite if more
        than 2000. NaN if the claim is decided or cannot be judged.
      member_steps: the member-steps that these seeds cost.
      cpu_seconds, gpu_seconds: the time that they cost on two CPU cores and on an H100.
      rule: a description of the rule.
      asked: the rule in a few words. Of a claim of several parts, how many must hold,
        and which part the row shows.
      version: when the rule was last changed, and its digest (`frozen.json`).
      needs: the flagfiles that train the members.
      missing: the flagfiles whose members no given run contains.
      runs: the run directories that were used.
      note: an explanation, or "".
      claim: the id of the claim, also for a part.
      supports, contradicts, equivalent: what the runs say, whatever their scale
        (`normlab.claims.rules.Statements`). NaN without a statistic or enough seeds.
    """

    id: str
    sentence: str
    source: str
    family: str
    verdict: str
    words: str
    adjusted: str
    statistic: str
    unit: str
    estimate: float
    low: float
    high: float
    n: int
    level: float
    p: float
    p_no_difference: float
    p_adjusted: float
    check: str
    images: str
    low_images: float
    high_images: float
    exploratory: bool
    seeds_needed: float
    member_steps: float
    cpu_seconds: float
    gpu_seconds: float
    rule: str
    version: str
    needs: tuple[str, ...]
    missing: tuple[str, ...]
    runs: tuple[str, ...]
    note: str
    claim: str
    supports: float = math.nan
    contradicts: float = math.nan
    equivalent: float = math.nan
    asked: str = ""

    @property
    def is_part(self) -> bool:
        """Whether this is the verdict on a part of a claim."""
        return self.id != self.claim

    @property
    def said(self) -> Statements:
        """What the runs say, whatever their scale; nothing without a statistic."""
        found = Statements(self.supports, self.contradicts, self.equivalent)
        return NOTHING_SAID if any(map(math.isnan, found)) else found

    @property
    def own_p(self) -> float:
        """The p-value of the verdict itself."""
        return self.p_no_difference if self.verdict == NO_DIFFERENCE else self.p

    @property
    def value(self) -> str:
        """``0.500 [0.480, 0.520] nats``, or "" without data."""
        if not self.n or math.isnan(self.estimate):
            return ""
        ends = (self.low, self.high)
        interval = f" [{short(ends[0])}, {short(ends[1])}]"
        known = not any(map(math.isnan, ends))
        return f"{short(self.estimate)}{interval if known else ''} {self.unit}".strip()

    @property
    def cost(self) -> str:
        """``12 new seeds (0.3 M member-steps: 2 hours on ...)``, or "" if not known."""
        if math.isnan(self.seeds_needed):
            return ""
        if math.isinf(self.seeds_needed):
            return "more than 2000 new seeds"
        steps = self.member_steps / 1e6
        times = ((self.cpu_seconds, CPU), (self.gpu_seconds, GPU))
        long = ", ".join(f"{duration(time)} on {device}" for time, device in times)
        return f"{self.seeds_needed:.0f} new seeds ({steps:.2g} M member-steps: {long})"

    @property
    def scripts(self) -> str:
        """The scripts for a GPU that would decide an open claim, in words, or ""."""
        is_open = self.verdict in (UNDECIDED, NOT_AT_SCALE) and not self.is_part
        return scripts_of(self.claim) if is_open else ""
