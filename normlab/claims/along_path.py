"""Measures of a member's quantities along its path (`normlab.quantities`)."""

from collections.abc import Callable

import numpy as np
import pandas as pd

from normlab.claims.claim import Measure
from normlab.claims.evidence import Evidence

Rows = Callable[[pd.DataFrame], pd.Series]
# Santurkar et al. 2018, App. A.2.2, for their VGG: from half a learning rate on.
_LEAST_ETA = 0.5
_LAST_NORM = "norm2"  # behind the small network's second convolution


def _measure(
    words: str, unit: str, quantity: str, value: Rows, ratio: bool = False
) -> Measure:
    def of(evidence: Evidence, networks: pd.Index, statistics: str) -> pd.Series:
        rows = evidence.quantity(quantity, networks)
        return value(rows) if len(rows) else pd.Series(dtype=float)

    return Measure(words, unit, of, ratio)


def _median(rows: pd.DataFrame, values: pd.Series) -> pd.Series:
    """The median over a member's rows; those that are not finite are left out."""
    finite = values.astype(float).replace([np.inf, -np.inf], np.nan)
    return finite.groupby(rows["network"]).median()


def _of_steps(rows: pd.DataFrame, values: pd.Series, statistic: str) -> pd.Series:
    """The median over steps of what ``statistic`` makes of the rows of a step."""
    steps = values.groupby([rows["network"], rows["step"]]).agg(statistic)
    return steps[np.isfinite(steps)].groupby(level="network").median()


def _largest_beta(rows: pd.DataFrame) -> pd.Series:
    return _of_steps(rows, rows["beta"].astype(float), "max")


def _largest_beta_of_long_steps(rows: pd.DataFrame) -> pd.Series:
    return _largest_beta(rows[rows["eta"] >= _LEAST_ETA])


def _cosine(rows: pd.DataFrame) -> pd.Series:
    """Of the layers with weights but the first, before which nothing changes."""
    first = rows["layer"].iloc[0]
    rows = rows[~rows["layer"].str.startswith("norm") & (rows["layer"] != first)]
    return _of_steps(rows, rows["cosine"].astype(float), "mean")


def _parts(rows: pd.DataFrame) -> pd.DataFrame:
    """Gradient norms, a row a (member, step), a column a part without norms."""
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
    """The gradient's norm at every step, scales and biases of norms left out."""
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


def _lopsided(rows: pd.DataFrame) -> pd.Series:
    if "skewness" not in rows:  # a table from before it was measured
        return pd.Series(dtype=float)
    rows = rows[rows["norm_layer"] == _LAST_NORM]
    size = rows["skewness"].abs()
    before = _median(rows[rows["side"] == "before"], size[rows["side"] == "before"])
    return (
        _median(rows[rows["side"] == "after"], size[rows["side"] == "after"]) - before
    )


def _over_layers(
    quantity: str, field: str, statistic: str, words: str, unit: str
) -> Measure:
    """The largest, least or mean value over layers and steps."""

    def value(rows: pd.DataFrame) -> pd.Series:
        return rows[field].astype(float).groupby(rows["network"]).agg(statistic)

    return _measure(words, unit, quantity, value)


LOSS_RANGE = _measure(
    "width of the loss's range along the gradient, median over steps",
    "nats",
    "loss_range",
    lambda rows: _median(rows, rows["high"] - rows["low"]),
    ratio=True,
)
PREDICTIVENESS = _measure(
    "greatest change of the gradient along itself, median over steps",
    "nats/θ",
    "gradient_predictiveness",
    lambda rows: _median(rows, rows["high"]),
    ratio=True,
)
SMOOTHNESS = _measure(
    "effective smoothness, the greatest over trial steps from half a learning rate on, "
    "median over steps",
    "nats/θ²",
    "effective_smoothness",
    _largest_beta_of_long_steps,
    ratio=True,
)
SMOOTHNESS_OF_ALL = _measure(
    "effective smoothness, the greatest over all trial steps, median over steps",
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
    "log10 of the largest over the least gradient norm of a layer, median over steps",
    "decades",
    "gradient_norm",
    _between_layers,
)
GRADIENT_RANGE = _measure(
    "5 % to 95 % range over steps of the gradient norm, scales and biases of norms "
    "left out",
    "nats/θ",
    "gradient_norm",
    _range_of_weights,
    ratio=True,
)
GRADIENT_SIZE = _measure(
    "gradient norm, scales and biases of norms left out, median over steps",
    "nats/θ",
    "gradient_norm",
    _median_of_weights,
    ratio=True,
)
VARIANCE_ERROR = _measure(
    "variance of a channel behind the second norm, median over channels and steps, "
    "less 1",
    "variance",
    "activation_moments",
    _variance_error,
)
MEANS_APART = _measure(
    "range of the channels' means before the second norm over their mean standard "
    "deviation, median over steps",
    "standard deviations",
    "activation_moments",
    _means_apart,
)
LOPSIDED = _measure(
    "size of the skewness of a channel behind the second norm less that before it, "
    "medians over channels and steps",
    "skewness",
    "activation_moments",
    _lopsided,
)
IDENTITY_ERROR = _over_layers(
    "identities",
    "relative_error",
    "max",
    "relative error of the first-order identity, the largest over blocks, layers and "
    "steps",
    "relative",
)
CURVATURE_ERROR = _over_layers(
    "curvature_identities",
    "relative_error",
    "max",
    "relative error of the second-order identity, the largest over layers and steps",
    "relative",
)
BOUND_RATIO = _over_layers(
    "identities",
    "bound_ratio",
    "min",
    "bound with 1/m over |dL/dy|², the least over layers and steps",
    "ratio",
)
THEOREM_4_4_RATIO = _over_layers(
    "identities",
    "theorem_4_4_ratio",
    "min",
    "printed bound of Theorem 4.4 over the worst gradient by the weights, the least "
    "over layers and steps",
    "ratio",
)
PRINTED_FAILS = _over_layers(
    "identities",
    "printed_fails",
    "max",
    "share of blocks in which the bound with 1/√m is false, the largest over layers "
    "and steps",
    "share",
)
SCALING_RESIDUAL = _over_layers(
    "identities",
    "scaling_residual",
    "max",
    "size of the loss's derivative along a rescaling of a block, over the largest it "
    "could have, the largest over layers and steps",
    "relative",
)
ALIGNED = _over_layers(
    "curvature_identities",
    "alignment_share",
    "mean",
    "share of blocks in which the norm lowers the curvature, mean over layers and "
    "steps",
    "share",
)
