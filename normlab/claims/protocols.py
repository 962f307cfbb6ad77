"""Judges a claim of the report twice: as it was run, and as it should have been run."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

from normlab.claims.claim import Claim, Part, Side
from normlab.claims.scale import REPORT
from normlab.claims.settings import (
    SMALL,
    proper_bn,
    proper_gn,
    report_bn,
    report_gn,
    side,
)


class Protocol(NamedTuple):
    """A way to run the report's experiments.

    Attributes:
      words: a description.
      bn: (norm, batch size, learning rate) -> a side of E1 to E4.
      gn: number of groups, or None for no norm -> a side of E5 to E7.
      init: the initialisation of weights, biases and norms.
      seen: the flagfile of E8 to E10.
    """

    words: str
    bn: Callable[..., Side]
    gn: Callable[[int | None], Side]
    init: str
    seen: str

    def gain(self, batch_size: int, lr: float) -> tuple[Side, Side]:
        """Batch norm and no norm, with batch size and learning rate in their names."""
        sides = (self.bn(norm, batch_size, lr) for norm in ("batch", "none"))
        place = f"at batch size {batch_size}, lr {lr:g}"
        batch, none = (replace(one, name=f"{one.name} {place}") for one in sides)
        return batch, none

    def looked_at(self, norm: str) -> Side:
        """A network of E8 to E10, with measured activations and gradients."""
        norm_settings: dict[str, Any] = {"norm": norm, "init": self.init}
        if norm != "none":
            norm_settings["norm_init"] = self.init
        return side(norm, self.seen, SMALL, norm_settings)


BY_PRECISE = "Batch norm is evaluated with precise statistics."
AS_RUN = Protocol(
    "as the report ran it", report_bn, report_gn, "report", "report_histograms"
)
AS_IT_SHOULD = Protocol(
    "as it should have been run", proper_bn, proper_gn, "standard", "proper_histograms"
)


def in_both(
    id: str,
    sentence: str,
    source: str,
    parts: Callable[[Protocol], tuple[Part, ...]],
    *,
    remark: str = "",
    name: str = "",
) -> tuple[Claim, Claim]:
    """A claim as the report ran it, and ``<id>p`` as it should have been run.

    Args:
      id: the id of the first claim.
      sentence, source, remark, name: as in `Claim`, for both claims.
      parts: makes the parts of a claim from its protocol.
    """
    proper = parts(AS_IT_SHOULD)
    if any(one.statistics == "precise" for part in proper for one in part.sides):
        precise = f"{remark} {BY_PRECISE}".strip()
    else:
        precise = remark
    return (
        Claim(
            id,
            sentence,
            source,
            parts(AS_RUN),
            scale=REPORT,
            remark=remark,
            name=name,
        ),
        Claim(
            f"{id}p",
            f"Run properly: {sentence[0].lower()}{sentence[1:]}",
            source,
            proper,
            scale=REPORT,
            remark=precise,
            name=f"{name}, redone",
        ),
    )
