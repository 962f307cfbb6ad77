"""Whether the report's own numbers come out again, run as the report ran them."""

from normlab.claims.claim import Claim, Side, level
from normlab.claims.measures import FINAL_TEST
from normlab.claims.rules import within
from normlab.claims.settings import report_bn, report_gn
from normlab.figures.reference.report import last_epoch

# How far apart two single runs may lie, and the reading of a plot.
_POINTS = 1.5
_POINTS_OF_ONE = 100.0
_SIDES: dict[str, tuple[Side, Side]] = {
    "E1": (report_bn("none"), report_bn("batch")),
    "E2": (report_bn("none", lr=1e-4), report_bn("batch", lr=1e-4)),
    "E3": (report_bn("none", 10), report_bn("batch", 10)),
    "E4": (report_bn("none", 100), report_bn("batch", 100)),
    "E5": (report_gn(None), report_gn(1)),
    "E6": (report_gn(None), report_gn(4)),
    "E7": (report_gn(None), report_gn(16)),
}


def _claim(number: int, experiment: str, sides: tuple[Side, Side]) -> Claim:
    parts = [
        level(
            FINAL_TEST,
            side,
            within(_POINTS),
            f"experiment {experiment}",
            _POINTS_OF_ONE * last_epoch(experiment, "test_accuracy", curve),
        )
        for side, curve in zip(sides, ("none", "norm"), strict=True)
    ]
    return Claim(
        f"R{number}",
        f"The test accuracy of {experiment}'s last epoch comes out again, within "
        f"{_POINTS:g} points.",
        f"report p. 8 and 12, experiment {experiment}, read off its plots",
        tuple(parts),
        remark="The report has one run of each.",
    )


CLAIMS = tuple(
    _claim(number, *entry) for number, entry in enumerate(_SIDES.items(), start=1)
)
