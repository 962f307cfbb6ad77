"""Slow and obvious twins in plain numpy: the first-order identity, and Lanczos."""

import numpy as np


def blocks(x, groups) -> list[np.ndarray]:
    """The blocks of an array (N, ..., C), one after another, as vectors."""
    x = np.asarray(x)
    if groups is None:
        return [x[..., c].ravel() for c in range(x.shape[-1])]
    parts = np.split(x, groups, axis=-1)
    return [parts[k][n].ravel() for n in range(len(x)) for k in range(groups)]


def identity(y, scale, g, v, groups, epsilon) -> dict[str, np.ndarray]:
    """Name -> a number a block, for a layer with input y, g = dL/dz and v = dL/dy."""
    rows = []
    scales = np.broadcast_to(scale, np.shape(y))
    cuts = (blocks(x, groups) for x in (y, g, scales, v))
    for y_b, g_b, scale_b, v_b in zip(*cuts, strict=True):
        q_b = scale_b * g_b
        m, s2 = len(y_b), y_b.var() + epsilon
        yhat = (y_b - y_b.mean()) / np.sqrt(s2)
        whole, ones, along = q_b @ q_b, q_b.sum() ** 2, (q_b @ yhat) ** 2
        exact = (2 - yhat @ yhat / m) * along
        # Theorem 4.4 as printed, lambda = 1: the square of what is a square already.
        worst = (g_b @ g_b) ** 2 - m * g_b.mean() ** 2 - (g_b @ yhat) ** 2
        worst = worst if groups is None else np.nan
        rows.append(
            {
                "m": m,
                "left": v_b @ v_b,
                "right": (whole - ones / m - exact / m) / s2,
                "bound": (whole - ones / m - along / m) / s2,
                "printed": (whole - ones / m - along / np.sqrt(m)) / s2,
                "worst_case": scale_b[0] ** 2 * worst / s2
                if groups is None
                else np.nan,
                "gain": 1 / s2,
                "whole": whole,
                "size": whole / s2,
                "mean": ones / m,
                "radial": exact / m,
                "if_random": min(2, m) / m,
                "alignment": q_b @ yhat,
                "alignment_size": np.sqrt(whole * (yhat @ yhat)),
                "shift": v_b.sum(),
                "scaling": y_b @ v_b,
                "expected": epsilon * (q_b @ yhat) / s2,
                "scaling_size": np.sqrt(y_b @ y_b * whole / s2),
            }
        )
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def fields(of: dict[str, np.ndarray]) -> dict[str, float]:
    """Fields of the quantity `identities` for one layer; those of rounding left out."""
    left, whole = of["left"].sum(), of["whole"].sum()
    moving = of["whole"] > 0
    rounding = 100 * np.finfo(float).eps * of["size"]
    fails = (of["left"] - of["printed"] > rounding) & moving
    return {
        "left": left,
        "right": of["right"].sum(),
        "bound_ratio": of["bound"].sum() / left,
        "printed_ratio": of["printed"].sum() / left,
        "printed_fails": fails.sum() / moving.sum(),
        "theorem_4_4_ratio": of["worst_case"].sum() / left,
        "removed": (of["mean"] + of["radial"]).sum() / whole,
        "removed_mean": of["mean"].sum() / whole,
        "removed_radial": of["radial"].sum() / whole,
        "removed_if_random": of["if_random"].mean(),
        "gain_median": np.median(of["gain"]),
        "gain_p90": np.quantile(of["gain"], 0.9),
        "gain_max": of["gain"].max(),
        "scaling_residual": _most(of["scaling"][moving] / of["scaling_size"][moving]),
    }


def _most(x) -> float:
    return abs(x).max()


def projected(matrix, start, size):
    """Lanczos' method: an orthonormal basis of the Krylov space, and A on it.

    Returns Ritz values, weights and residuals, ascending.
    """
    columns = [start / np.linalg.norm(start)]
    for _ in range(size - 1):
        new = matrix @ columns[-1]
        for _ in range(2):
            for old in columns:
                new = new - (old @ new) * old
        columns.append(new / np.linalg.norm(new))
    basis = np.stack(columns, 1)
    values, vectors = np.linalg.eigh(basis.T @ matrix @ basis)
    vectors = basis @ vectors
    weights = (vectors.T @ columns[0]) ** 2
    rests = np.linalg.norm(matrix @ vectors - vectors * values, axis=0)
    return values, weights, rests
