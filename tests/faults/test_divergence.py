"""A member that diverges, at once or late: its NaNs are recorded, and nothing else."""

import numpy as np
import pandas as pd
import pytest

from normlab.store import load
from tests.faults import small
from tests.marks import slow

pytestmark = pytest.mark.faults
CALM, OTHER = "0.01,0.02,0.03", "0.01,{},0.03"
SETTINGS = {"norm": "none", "steps": 30, "eval_every": 10, "weight_decay": 10}


@pytest.fixture(scope="module")
def calm(tmp_path_factory):
    out = tmp_path_factory.mktemp("calm") / "run"
    assert small.sweep(out, lr=CALM, **SETTINGS) == 0
    return load(out)


# A rate at which the loss is no number after the first step, and one at which the decay
# of weights makes them 99 times as large with every step.
@pytest.mark.parametrize("lr, least, most", [("1e38", 0, 2), slow("10", 4, 29)])
def test_it_is_recorded_and_touches_no_other(lr, least, most, calm, tmp_path, tally):
    tally["members that diverged"] += 1
    out = tmp_path / "run"
    assert small.sweep(out, lr=OTHER.format(lr), figures=True, **SETTINGS) == 0
    found = load(out)
    wild = found[found["member"] == 1].reset_index(drop=True)
    first = int(wild["step"][wild["diverged"]].min())
    assert least <= first <= most
    assert wild["diverged"][first:].all() and not wild["diverged"][:first].any()
    assert not np.isfinite(wild["batch_loss"][first:-1]).any()
    for member in (0, 2):
        one, other = (frame[frame["member"] == member] for frame in (found, calm))
        pd.testing.assert_frame_equal(
            one.drop(columns="cell"), other.drop(columns="cell"), check_exact=True
        )
        assert not one["diverged"].any()
    summary = pd.read_csv(out / "summary.csv")
    assert len(summary) == 3
    for name in ("curves", "lr_sensitivity", "gradient_norm"):
        assert (out / "figures" / f"{name}.png").stat().st_size > 1000
        table = pd.read_csv(out / "figures" / f"{name}.csv")
        assert table["diverged"].sum() == (2 if name == "curves" else 1)  # of 2 metrics


def test_a_figure_that_divergence_left_nothing_of_says_so(tmp_path, caplog, tally):
    tally["members that diverged"] += 1
    out = tmp_path / "run"
    assert small.sweep(out, figures=True, **SETTINGS | {"lr": "1e38"}) == 0
    why = "it shows curves, but members diverged before their second point"
    names = ("curves", "gradient_norm")
    assert caplog.messages == [
        f"figure {name} of run is left out: {why}" for name in names
    ]
    assert not any((out / "figures" / f"{name}.png").exists() for name in names)
