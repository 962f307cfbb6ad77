"""No rule changes without its version."""

import dataclasses
import json

from normlab.claims import CLAIMS, FAMILIES, frozen
from normlab.claims.rules import above


def test_every_rule_is_as_it_was_frozen():
    """If this fails, freeze the claim anew, with the next version of the rules.

    See `normlab.claims.frozen`.
    """
    stored = {name: entry["digest"] for name, entry in frozen.frozen().items()}
    assert stored == {name: frozen.digest(claim) for name, claim in CLAIMS.items()}


def test_the_digest_is_of_all_that_a_rule_declares():
    claim = CLAIMS["C2b"]
    part = claim.parts[0]
    side = part.sides[0]
    other = dataclasses.replace(side, where={**side.where, "lr": 3e-3})
    changed = [
        dataclasses.replace(claim, test="all"),
        dataclasses.replace(claim, sentence="Another."),
        dataclasses.replace(claim, scale=CLAIMS["W1"].scale),
        dataclasses.replace(claim, parts=claim.parts[1:]),
        *(
            dataclasses.replace(
                claim, parts=(dataclasses.replace(part, **more), *claim.parts[1:])
            )
            for more in (
                {"rule": above(-2)},
                {"offset": 1.0},
                {"sides": (other, part.sides[1])},
            )
        ),
    ]
    digests = {frozen.digest(one) for one in (claim, *changed)}
    assert len(digests) == len(changed) + 1
    assert frozen.digest(dataclasses.replace(claim, remark="A note.")) in digests


def test_margins_are_frozen_too(monkeypatch):
    before = {name: frozen.digest(claim) for name, claim in CLAIMS.items()}
    monkeypatch.setitem(frozen.MARGINS, "points", 2.0)
    after = {name: frozen.digest(claim) for name, claim in CLAIMS.items()}
    changed = {name for name in CLAIMS if before[name] != after[name]}
    assert {"C1t", "B2", "C6"} <= changed and "C11" not in changed


def test_a_changed_rule_is_shown_and_frozen_anew(tmp_path):
    claim = CLAIMS["C11"]
    own = frozen.digest(claim)
    assert frozen.version(claim) == f"{frozen.frozen()['C11']['version']} ({own})"
    changed = dataclasses.replace(claim, test="most")
    assert frozen.version(changed) == f"changed ({frozen.digest(changed)})"
    families = {"x": [changed, *(c for c in FAMILIES["the report"] if c is not claim)]}
    frozen.freeze(families, tmp_path / "frozen.json", "9")
    written = json.loads((tmp_path / "frozen.json").read_text(encoding="utf-8"))
    assert written["C11"] == {"version": "9", "digest": frozen.digest(changed)}
    assert written["C4"] == frozen.frozen()["C4"]
