"""Measures computed from the quantities along a member's path."""

from collections.abc import Callable

import numpy as np
import pandas as pd

from normlab.claims.claim import Measure
from normlab.claims.evidence import Evidence

Rows = Callable[[pd.DataFrame], pd.Series]
# In learning rates. Santurkar et al. 2018, App. A.2.2, use this range for their VGG.
_LEAST_ETA = 0.5
# Losses that a VGG on CIFAR-10 passes with and without a norm.
_LOSSES = (1.0, 1.5)
_LAST_NORM = "norm2"  # after the second convolution of small_cnn


def _measure(
    words: str,
    unit: str,
    quantity: str,
    value: Rows,
    ratio: bool = False,
    losses: tuple[float, float] | None = None,
) -> Measure:
    """A measure of a quantity, at all steps or at those with a loss in ``losses``."""

    def of(evidence: Evidence, networks: pd.Index, statistics: str) -> pd.Series:
        rows = evidence.quantity(quantity, networks)
        if losses is not None and len(rows):
            rows = rows[_loss_at(evidence, rows).between(*losses)]
        return value(rows) if len(rows) else pd.Series(dtype=float)

    return Measure(words, unit, of, ratio)


def _loss_at(evidence: Evidence, rows: pd.DataFrame) -> pd.Series:
    """The loss at each row's point, on the batch on which the row was measured.

    A mean over neighbouring steps would not do: at the start, it is far below the loss.
    """
    points = ["network", "step"]
    found = evidence.quantity("loss_range", pd.Index(rows["network"].unique()))
    if found.empty:
        return pd.Series(np.nan, rows.index)
    here = found.set_index(points)["here"].astype(float)
    return here.reindex(pd.MultiIndex.from_frame(rows[points])).set_axis(rows.index)


def _median(rows: pd.DataFrame, values: pd.Series) -> pd.Series:
    """The median of each member's finite values."""
    finite = values.astype(float).replace([np.inf, -np.inf], np.nan)
    return finite.groupby(rows["network"]).median()


def _of_steps(rows: pd.DataFrame, values: pd.Series, statistic: str) -> pd.Series:
    """Applies ``statistic`` within each step, then takes the median over steps."""
    steps = values.groupby([rows["network"], rows["step"]]).agg(statistic)
    return steps[np.isfinite(steps)].groupby(level="network").median()


def _largest_beta(rows: pd.DataFrame) -> pd.Series:
    return _of_steps(rows, rows["beta"].astype(float), "max")


def _largest_beta_of_long_steps(rows: pd.DataFrame) -> pd.Series:
    return _largest_beta(rows[rows["eta"] >= _LEAST_ETA])


def _cosine(rows: pd.DataFrame) -> pd.Series:
    """The mean over weight layers. The first is left out: its input never changes."""
    first = rows["layer"].iloc[0]
    rows = rows[~rows["layer"].str.startswith("norm") & (rows["layer"] != first)]
    return _of_steps(rows, rows["cosine"].astype(float), "mean")


def _parts(rows: pd.DataFrame) -> pd.DataFrame:
    """Gradient norms: a row per (member, step), a column per layer except norms."""
    rows = rows[~rows["part"].str.startswith("norm")]
    table = rows.pivot(index=["network", "step"], columns="part", values="l2")
    return table.drop(columns="all").astype(float)


def _between_layers(rows: pd.DataFrame) -> pd.Series:
    table = _parts(rows)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = table.max(axis=1) / table.min(axis=1)
        decades = pd.Series(np.log10(share), index=table.index)
    return decades[np.isfinite(decades)].groupby(level="network").median()


def _of_weights(rows: pd.DataFrame) -> pd.Series:
    """The gradient norm at every step, without the scales and biases of norms."""
    return np.sqrt(np.square(_parts(rows)).sum(axis=1))


def _range_of_weights(rows: pd.DataFrame) -> pd.Series:
    groups = _of_weights(rows).groupby(level="network")
    return groups.quantile(0.95) - groups.quantile(0.05)


def _median_of_weights(rows: pd.DataFrame) -> pd.Series:
    return _of_weights(rows).groupby(level="network").median()


def _variance_error(rows: pd.DataFrame) -> pd.Series:
    rows = rows[(rows["side"] == "after") & (rows["norm_layer"] == _LAST_NORM)]
    return _median(rows, rows["std"].astype(float) ** 2) - 1


def _means_apart(rows: pd.DataFrame) -> pd.Series:
    rows = rows[(rows["side"] == "before") & (rows["norm_layer"] == _LAST_NORM)]
    steps = rows.astype({"mean": float, "std": float}).groupby(["network", "step"])
    apart = (steps["mean"].max() - steps["mean"].min()) / steps["std"].mean()
    return apart[np.isfinite(apart)].groupby(level="network").median()


def _regular(rows: pd.DataFrame) -> pd.Series:
    """The median over channels; a channel of one width at all steps has none."""
    rows = rows[rows["norm_layer"] == _LAST_NORM]
    std = rows["std"].astype(float)
    width = pd.Series(np.log(std.where(std > 0)), index=rows.index)
    spread = width.groupby([rows["network"], rows["channel"], rows["side"]]).std()
    sides = spread[spread > 0].unstack("side").reindex(columns=["before", "after"])
    share = (sides["after"] / sides["before"]).groupby(level="network")
    return share.median().dropna()


def _over_layers(
    quantity: str, field: str, statistic: str, words: str, unit: str
) -> Measure:
    """The largest or smallest value over layers and steps."""

    def value(rows: pd.DataFrame) -> pd.Series:
        return rows[field].astype(float).groupby(rows["network"]).agg(statistic)

    return _measure(words, unit, quantity, value)


def _panel(words: str, unit: str, quantity: str, value: Rows) -> tuple[Measure, ...]:
    """A panel of Figure 4, at equal steps and at equal losses.

    A network that trains faster is at a lower loss, and there the loss also varies
    less. So both are compared.
    """
    low, high = _LOSSES
    at = f"{words}, median over steps with a batch loss of {low:g} to {high:g} nats"
    return (
        _measure(f"{words}, median over steps", unit, quantity, value, True),
        _measure(at, unit, quantity, value, True, _LOSSES),
    )


LOSS_RANGE, LOSS_RANGE_AT_LOSS = _panel(
    "range of the loss along the gradient",
    "nats",
    "loss_range",
    lambda rows: _median(rows, rows["high"] - rows["low"]),
)
PREDICTIVENESS, PREDICTIVENESS_AT_LOSS = _panel(
    "largest change of the gradient along its own direction",
    "nats/θ",
    "gradient_predictiveness",
    lambda rows: _median(rows, rows["high"]),
)
SMOOTHNESS, SMOOTHNESS_AT_LOSS = _panel(
    "effective smoothness (maximum over trial steps of at least half a learning rate)",
    "nats/θ²",
    "effective_smoothness",
    _largest_beta_of_long_steps,
)
SMOOTHNESS_OF_ALL = _measure(
    "effective smoothness (maximum over all trial steps), median over steps",
    "nats/θ²",
    "effective_smoothness",
    _largest_beta,
    ratio=True,
)
SHIFT_COSINE = _measure(
    "cos(G, G') of internal covariate shift, mean over layers, median over steps",
    "cosine",
    "internal_covariate_shift",
    _cosine,
)
BETWEEN_LAYERS = _measure(
    "log10 of the largest layer's gradient norm over the smallest, median over steps",
    "decades",
    "gradient_norm",
    _between_layers,
)
GRADIENT_RANGE = _measure(
    "5% to 95% range over steps of the gradient norm, without the scales and biases of "
    "norms",
    "nats/θ",
    "gradient_norm",
    _range_of_weights,
    ratio=True,
)
GRADIENT_SIZE = _measure(
    "gradient norm without the scales and biases of norms, median over steps",
    "nats/θ",
    "gradient_norm",
    _median_of_weights,
    ratio=True,
)
VARIANCE_ERROR = _measure(
    "variance of a channel after the second norm minus 1, median over channels and "
    "steps",
    "variance",
    "activation_moments",
    _variance_error,
)
MEANS_APART = _measure(
    "range of the channel means before the second norm, in mean channel standard "
    "deviations, median over steps",
    "standard deviations",
    "activation_moments",
    _means_apart,
)
REGULAR = _measure(
    "change over steps of a channel's log standard deviation, after the second norm "
    "over before it, median over channels",
    "ratio",
    "activation_moments",
    _regular,
    ratio=True,
)
IDENTITY_ERROR = _over_layers(
    "identities",
    "relative_error",
    "max",
    "relative error of the first-order identity, maximum over blocks, layers and steps",
    "relative",
)
CURVATURE_ERROR = _over_layers(
    "curvature_identities",
    "relative_error",
    "max",
    "relative error of the second-order identity, maximum over layers and steps",
    "relative",
)
BOUND_RATIO = _over_layers(
    "identities",
    "bound_ratio",
    "min",
    "bound with 1/m divided by |dL/dy|², minimum over layers and steps",
    "ratio",
)
PRINTED_FAILS = _over_layers(
    "identities",
    "printed_fails",
    "max",
    "share of blocks that violate the bound with 1/√m, maximum over layers and steps",
    "share",
)
SCALING_RESIDUAL = _over_layers(
    "identities",
    "scaling_residual",
    "max",
    "derivative of the loss along a rescaling of a block, relative to its largest "
    "possible value, maximum over layers and steps",
    "relative",
)
