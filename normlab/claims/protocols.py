"""Claims of the report, judged as it ran things and as they should have been run."""

from collections.abc import Callable
from typing import Any, NamedTuple

from normlab.claims.claim import Claim, Part, Side
from normlab.claims.settings import (
    SMALL,
    proper_bn,
    proper_gn,
    report_bn,
    report_gn,
    side,
)


class Protocol(NamedTuple):
    """How the experiments were run.

    Attributes:
      words: that, in words.
      bn: (norm, batch size, learning rate) -> a side of E1 to E4.
      gn: number of groups, or None -> a side of E5 to E7.
      init: the initialisation of weights, biases and of the norms' own.
      seen: the flagfile of E8 to E10.
    """

    words: str
    bn: Callable[..., Side]
    gn: Callable[[int | None], Side]
    init: str
    seen: str

    def looked_at(self, norm: str) -> Side:
        """A network of E8 to E10, whose activations and gradients were looked at."""
        own: dict[str, Any] = {"norm": norm, "init": self.init}
        if norm != "none":
            own["norm_init"] = self.init
        return side(norm, self.seen, SMALL, own)


AS_RUN = Protocol(
    "as the report ran it", report_bn, report_gn, "report", "report_histograms"
)
AS_IT_SHOULD = Protocol(
    "as it should have been run", proper_bn, proper_gn, "standard", "proper_histograms"
)


def in_both(
    name: str,
    sentence: str,
    source: str,
    parts: Callable[[Protocol], tuple[Part, ...]],
    *,
    more: tuple[Part, ...] = (),
    remark: str = "",
) -> tuple[Claim, Claim]:
    """A claim as the report ran it, and ``<name>p`` as it should have been run.

    Args:
      parts: of either.
      more: parts of the second alone: of runs that the report did not make.
    """
    return (
        Claim(name, sentence, source, parts(AS_RUN), remark=remark),
        Claim(
            f"{name}p",
            f"Run as it should have been: {sentence[0].lower()}{sentence[1:]}",
            source,
            parts(AS_IT_SHOULD) + more,
            remark=remark,
        ),
    )
