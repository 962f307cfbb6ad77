"""Which version of a claim's rule judges it, and that no rule changes unseen.

``frozen.json`` has the digest of each claim: of its sentence, test, sides, rules and
margins, and of the scale of its source. `METHOD` stands for the code that tests the
statistics of all claims. A claim that changes needs a new entry, with the version of
the rules at which it changed. A test compares them. To write the entries:

    from normlab.claims import FAMILIES, frozen
    frozen.freeze(FAMILIES, "normlab/claims/frozen.json", "6")

Versions: 1 had intervals of medians, and its rules were chosen on seeds 0 to 4. 2 has
Student's t, equivalence tests and families. 3 averages final accuracies over up to five
evaluations, chooses learning rates on validation images if there are some, judges R1,
R3 and R4 without the accuracies that chose the placement of batch norm, and checks
identities in every network that was measured. 4 compares only networks that were
evaluated equally often, has no t test of equal seeds, calls R1 to R7 "not rejected",
asks both ends of a prediction interval to be near, and counts images that are held out
as not trained on. 5 matches losses at the measurement itself (SF4, SF4g, H1, H2),
chooses best rates among those of both sides (W1 to W6), compares groups with controls
that change equally often (C9h, F3), asks for the gap at equal training accuracies (H6),
and for the training accuracy of which the report speaks (B10b). 6 counts the seeds that
left SF3d, SF10, SF5l and B1l undecided as seen, so that seeds added for this reason
decide alone, and drops S4.2s, which nobody had claimed. Results on the seeds
that a claim's ``seen`` lists were known before.
"""

import functools
import hashlib
import json
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from normlab.claims.claim import Claim, Side
from normlab.claims.margins import MARGINS
from normlab.claims.measures import LAST, SHARE
from normlab.claims.rules import ALPHA, LEAST_SEEDS
from normlab.claims.scale import HELD_OUT

# Raised when code changes what follows from the same numbers.
METHOD = 5


def digest(claim: Claim) -> str:
    """The first ten hexadecimal digits of the SHA-256 of all that judges a claim."""
    parts = [
        [
            part.statistic,
            part.unit,
            part.measure.ratio,
            part.offset,
            [part.rule.words, part.rule.kind, part.rule.bound],
            MARGINS.get(part.unit),
            [_side(side) for side in part.sides],
        ]
        for part in claim.parts
    ]
    scale = sorted(claim.scale.least.items()) if claim.scale else None
    fixed = [ALPHA, LEAST_SEEDS, LAST, SHARE]
    told = [claim.id, claim.sentence, claim.test, scale, *fixed, parts]
    if not claim.exact:
        told += [METHOD, HELD_OUT, claim.chosen, sorted(claim.seen)]
    text = json.dumps(told, default=_name, ensure_ascii=True)
    return hashlib.sha256(text.encode("ascii")).hexdigest()[:10]


def _side(side: Side) -> list[Any]:
    where = sorted((name, value) for name, value in side.where.items())
    return [side.name, side.flagfile, where, side.statistics, side.across]


def _name(value: Any) -> str:
    """A function by its name."""
    return value.__qualname__


@functools.cache
def frozen() -> Mapping[str, Mapping[str, str]]:
    """Claim -> its ``version`` and ``digest``, as stored."""
    file = resources.files("normlab.claims") / "frozen.json"
    return json.loads(file.read_text(encoding="utf-8"))


def version(claim: Claim) -> str:
    """``2 (3f2a9c01bd)``; ``changed`` in place of the version if the rule was."""
    own, entry = digest(claim), frozen().get(claim.id, {})
    same = entry.get("digest") == own
    return f"{entry['version'] if same else 'changed'} ({own})"


def freeze(families: Mapping[str, Sequence[Claim]], path: str | Path, of: str) -> None:
    """Writes the digests of all claims; those that changed get version ``of``."""
    entries = {}
    for claim in (claim for family in families.values() for claim in family):
        old, own = frozen().get(claim.id, {}), digest(claim)
        kept = old["version"] if old.get("digest") == own else of
        entries[claim.id] = {"version": kept, "digest": own}
    text = json.dumps(entries, indent=1, sort_keys=True) + "\n"
    Path(path).write_text(text, encoding="utf-8")
