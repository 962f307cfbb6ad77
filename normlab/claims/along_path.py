"""Measures computed from the quantities along a member's path."""

from collections.abc import Callable

import numpy as np
import pandas as pd

from normlab.claims.claim import Measure
from normlab.claims.evidence import Evidence

Rows = Callable[[pd.DataFrame], pd.Series]
# In learning rates. Santurkar et al. 2018, App. A.2.2, use this range for their VGG.
_LEAST_ETA = 0.5
_LAST_NORM = "norm2"  # after the second convolution of small_cnn


def _measure(
    words: str, unit: str, quantity: str, value: Rows, ratio: bool = False
) -> Measure:
    def of(evidence: Evidence, networks: pd.Index, statistics: str) -> pd.Series:
        rows = evidence.quantity(quantity, networks)
        return value(rows) if len(rows) else pd.Series(dtype=float)

    return Measure(words, unit, of, ratio)


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
    """The largest, smallest or mean value over layers and steps."""

    def value(rows: pd.DataFrame) -> pd.Series:
        return rows[field].astype(float).groupby(rows["network"]).agg(statistic)

    return _measure(words, unit, quantity, value)


LOSS_RANGE = _measure(
    "range of the loss along the gradient, median over steps",
    "nats",
    "loss_range",
    lambda rows: _median(rows, rows["high"] - rows["low"]),
    ratio=True,
)
PREDICTIVENESS = _measure(
    "largest change of the gradient along its own direction, median over steps",
    "nats/θ",
    "gradient_predictiveness",
    lambda rows: _median(rows, rows["high"]),
    ratio=True,
)
SMOOTHNESS = _measure(
    "effective smoothness (maximum over trial steps of at least half a learning rate), "
    "median over steps",
    "nats/θ²",
    "effective_smoothness",
    _largest_beta_of_long_steps,
    ratio=True,
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
ALIGNED = _over_layers(
    "curvature_identities",
    "alignment_share",
    "mean",
    "share of blocks whose curvature the norm lowers, mean over layers and steps",
    "share",
)
