"""That contenders who do not compute the same are found, whatever differs."""

import numpy as np
import pytest

from normlab.bench.same import loss_gaps
from normlab.errors import UserError

REFERENCE = np.linspace(2.0, 1.0, 11, dtype=np.float32) * np.ones((3, 1), np.float32)


def gaps(other: np.ndarray, tolerance: float = 1e-3) -> dict[str, float]:
    return loss_gaps({"mine": REFERENCE, "theirs": other}, tolerance)


def test_equal_losses_pass():
    assert gaps(REFERENCE.copy()) == {"mine": 0.0, "theirs": 0.0}


def test_rounding_passes_and_is_reported():
    found = gaps(REFERENCE * np.float32(1.0002))
    assert found["theirs"] == pytest.approx(2e-4, rel=0.01)


@pytest.mark.parametrize("step", [0, 1, 10])
@pytest.mark.parametrize("value", [1.01, np.nan, np.inf])
def test_a_member_that_differs_is_found(step, value):
    other = REFERENCE.copy()
    other[2, step] *= value
    with pytest.raises(UserError) as raised:
        gaps(other)
    message = str(raised.value)
    assert "theirs and mine do not compute the same" in message
    assert f"after {step} updates" in message and "\n" not in message


def test_both_not_a_number_is_not_the_same():
    lost = REFERENCE * np.float32(np.nan)
    with pytest.raises(UserError, match="do not compute the same"):
        loss_gaps({"mine": lost, "theirs": lost}, 1e-3)


def test_fewer_steps_than_ten_are_compared_to_their_end():
    other = REFERENCE[:, :4].copy()
    other[0, 3] *= 1.01
    with pytest.raises(UserError, match="after 3 updates"):
        loss_gaps({"mine": REFERENCE[:, :4], "theirs": other}, 1e-3)


def test_more_is_allowed_only_where_rounding_grows():
    """Of the last member, and after the step at which its twin drifted away."""
    twin, other = REFERENCE.copy(), REFERENCE.copy()
    twin[2, 5] *= 1.004
    other[2, 10] *= 1.03
    found = loss_gaps({"mine": REFERENCE, "theirs": other}, 1e-3, twin)
    assert found["theirs"] == pytest.approx(0.03, rel=0.01)
    for member, step, factor in [(2, 10, 1.05), (1, 10, 1.03), (2, 1, 1.03)]:
        other = REFERENCE.copy()
        other[member, step] *= factor
        with pytest.raises(UserError, match=f"after {step} updates"):
            loss_gaps({"mine": REFERENCE, "theirs": other}, 1e-3, twin)


def test_nothing_is_compared_where_rounding_has_become_everything():
    twin, other = REFERENCE.copy(), REFERENCE.copy()
    twin[2, 5:] *= 1.05
    other[2, 10] *= 1.5
    # A member that is not compared counts in no gap.
    assert loss_gaps({"mine": REFERENCE, "theirs": other}, 1e-3, twin)["theirs"] == 0
    wrong = [(1, 10, 1.5), (2, 3, 1.5), (2, 1, 1.5), (2, 10, np.nan), (2, 10, np.inf)]
    for member, step, factor in wrong:
        other = REFERENCE.copy()
        other[member, step] *= factor
        with pytest.raises(UserError, match=f"after {step} updates"):
            loss_gaps({"mine": REFERENCE, "theirs": other}, 1e-3, twin)


def test_a_contender_of_some_members_is_compared_to_those():
    reference = REFERENCE * np.array([[1], [2], [3]], np.float32)
    losses = {"mine": reference, "theirs": reference[[0, 2]]}
    assert loss_gaps(losses, 1e-3, trained={"theirs": (0, 2)})["theirs"] == 0
    with pytest.raises(UserError, match="do not compute the same"):
        loss_gaps(losses, 1e-3, trained={"theirs": (0, 1)})


@pytest.mark.parametrize("lost", [2.0, np.nan, np.inf])
def test_a_twin_that_is_lost_does_not_allow_everything(lost):
    twin, other = REFERENCE * np.float32(lost), REFERENCE * np.float32(1.2)
    with pytest.raises(UserError, match="do not compute the same"):
        loss_gaps({"mine": REFERENCE, "theirs": other}, 1e-3, twin)
