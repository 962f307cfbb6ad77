"""What the report says of an easy dataset (section III)."""

from normlab.claims import measures as m
from normlab.claims.claim import Claim, Side, difference, level
from normlab.claims.rules import above, within
from normlab.claims.settings import side

_POINT, _HIGH = 1.0, 95.0


def _digits(norm: str) -> Side:
    return side(norm, "digits_easy", {"dataset": "digits", "norm": norm})


CLAIMS = (
    Claim(
        "E11",
        "An easy dataset trains to high accuracy very quickly irrespective of changes "
        "in the model.",
        "report, section III, of MNIST; here of scikit-learn's digits",
        (
            *(
                level(m.FINAL_TEST, _digits(norm), above(_HIGH))
                for norm in ("none", "batch", "group")
            ),
            *(
                difference(m.FINAL_TEST, _digits(norm), _digits("none"), within(_POINT))
                for norm in ("batch", "group")
            ),
        ),
    ),
)
