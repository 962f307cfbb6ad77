"""Questions about the sources: do the report's numbers and the theory hold?"""

from normlab.page.finding import Finding, Point

# What the report calls E1 to E7.
_EXPERIMENTS = (
    "E1 (batch norm)",
    "E2 (rate 1e-4)",
    "E3 (batches of 10)",
    "E4 (batches of 100)",
    "E5 (1 group)",
    "E6 (4 groups)",
    "E7 (16 groups)",
)


def _reproduced(k: int) -> Point:
    """An experiment of the report, compared with prediction intervals.

    That a number lies in its interval does not show that it is right.
    """
    inside = "inside our 95% prediction intervals"
    return Point(
        f"R{k}",
        f"the report's numbers of {{}} lie {inside}",
        f"the report's numbers of {{}} do not all lie {inside}",
        f"the report's numbers of {{}} lie {inside}",
        name=_EXPERIMENTS[k - 1],
    )


_CONVOLUTIONS = "with batch norm only after convolutions, as the report states,"
_ACCURACIES = "its accuracies in E1, E3 and E4"

REPORT = Finding(
    "report",
    "The report's numbers",
    "Do the student report's results come out again?",
    (
        *map(_reproduced, range(1, 8)),
        Point(
            "B10",
            f"{_CONVOLUTIONS} networks come within 1.5 points of {_ACCURACIES}",
            f"{_CONVOLUTIONS} networks miss at least one of {_ACCURACIES} by over 1.5 "
            "points",
            f"{_CONVOLUTIONS} networks come within 1.5 points of {_ACCURACIES}",
        ),
    ),
    (("report_bn", "report_bn"), ("report_gn", "report_gn")),
    ("B1", "B1t", "B1l", "B2", "B2p", "B6"),
)
THEORY = Finding(
    "theory",
    "Theory",
    "Do the bounds of the theory hold in trained networks?",
    (
        Point(
            "F1",
            "the corrected identity and bound hold for group norm in every network",
            "the corrected identity or bound fails for group norm in at least one "
            "network",
            "the corrected identity and bound hold for group norm in every network",
        ),
        Point(
            "S4.1",
            "Theorem 4.1 of Santurkar et al. holds as printed, with 1/√m, in every "
            "network",
            "Theorem 4.1 of Santurkar et al. fails as printed, with 1/√m, in at least "
            "one network",
            "Theorem 4.1 of Santurkar et al. holds as printed, with 1/√m, in every "
            "network",
        ),
    ),
    (("smoothness_digits", "identity_slack"),),
    ("F4", "S4.1c", "S4.1g", "S4.2", "S4.5"),
)
