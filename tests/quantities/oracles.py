"""What every quantity is at `tiny_point`, by its definition: slow and obvious.

A new quantity needs a line in `ORACLES`. An oracle returns the fields of the quantity;
it shares nothing with `normlab.quantities`.
"""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from tests.quantities import by_hand, tiny_point
from tests.quantities.tiny_point import LAYERS, LR, OFF, PARAMS, SETTINGS, vector

STATISTICS = ("batch", "running")
ETAS = SETTINGS["probe_etas"]


def size(x) -> float:
    return float(np.linalg.norm(x))


def whole_and_layers(tree) -> np.ndarray:
    parts = [vector(tree[layer]) for layer in LAYERS]
    return np.array([size(np.concatenate(parts)), *map(size, parts)])


def gradient() -> dict:
    return tiny_point.loss_and_gradient(PARAMS)[1]


@functools.cache
def along_the_gradient() -> dict[str, np.ndarray]:
    g, rows = vector(gradient()), []
    for eta in ETAS:
        there = jax.tree.map(lambda x, d, eta=eta: x - eta * LR * d, PARAMS, gradient())
        loss, other = tiny_point.loss_and_gradient(there)
        other, moved = vector(other), size(vector(there) - vector(PARAMS))
        row = {
            "beta": size(g - other) / moved,
            "loss": loss,
            "distance": moved,
            "difference": size(g - other),
            "norm_ratio": size(other) / size(g),
            "cosine": g @ other / (size(g) * size(other)),
        }
        rows.append(row)
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def loss_range():
    losses = along_the_gradient()["loss"]
    loss, _ = tiny_point.loss_and_gradient(PARAMS)
    return {"here": loss, "low": min(losses), "high": max(losses)}


def gradient_predictiveness():
    differences = along_the_gradient()["difference"]
    return {"low": min(differences), "high": max(differences)}


def gradient_lipschitz():
    _, there = tiny_point.loss_and_gradient(tiny_point.NEXT)
    difference = size(vector(there) - vector(gradient()))
    distance = size(vector(tiny_point.NEXT) - vector(PARAMS))
    return {
        "lipschitz": difference / distance,
        "difference": difference,
        "distance": distance,
    }


def internal_covariate_shift():
    rows = []
    for i, layer in enumerate(LAYERS):
        mixed = {
            k: tiny_point.NEXT[k] if k in LAYERS[:i] else PARAMS[k] for k in LAYERS
        }
        g = vector(gradient()[layer])
        other = vector(tiny_point.loss_and_gradient(mixed)[1][layer])
        cosine = g @ other / (size(g) * size(other))
        rows.append((size(g - other), cosine, size(g), size(other)))
    names = ("difference", "cosine", "l2", "l2_after")
    return dict(zip(names, map(np.array, zip(*rows, strict=True)), strict=True))


@functools.cache
def sides() -> tuple[np.ndarray, np.ndarray]:
    """The norm layer's input and output on the batch."""
    y = tiny_point.before(PARAMS, tiny_point.images(tiny_point.BATCH))
    return np.asarray(y), np.asarray(tiny_point.norm(y, PARAMS))


def channels() -> list[np.ndarray]:
    """The values of the chosen channels, on both sides of the norm layer."""
    chosen = SETTINGS["probe_channels"]
    return [x[..., c].ravel() for x in sides() for c in chosen]


def on_both_sides(rows) -> np.ndarray:
    """One a channel, as (norm layers, sides, channels, ...)."""
    rows = np.array(rows)
    return rows.reshape(1, 2, -1, *rows.shape[1:])


def activation_moments():
    moments = {
        "mean": np.mean,
        "std": np.std,
        "skewness": lambda x: np.mean((x - x.mean()) ** 3) / x.std() ** 3,
    }
    return {k: on_both_sides([of(x) for x in channels()]) for k, of in moments.items()}


def activation_histogram():
    found = [np.histogram(x, SETTINGS["probe_bins"]) for x in channels()]
    return {
        "count": on_both_sides([count for count, _ in found]),
        "left": on_both_sides([edges[:-1] for _, edges in found]),
        "right": on_both_sides([edges[1:] for _, edges in found]),
    }


def by_output(z):
    """The loss of the norm layer's output."""
    labels = tiny_point.DATA.train_y[tiny_point.BATCH].astype(int)
    return tiny_point.behind(PARAMS, z, labels)


def by_input(y):
    return by_output(tiny_point.norm(y, PARAMS))


@functools.cache
def gradients() -> tuple[np.ndarray, np.ndarray]:
    """By the norm layer's input and output, as far off as the quantities' are."""
    y, z = sides()
    v, g = jax.jit(lambda y, z: (jax.grad(by_input)(y), jax.grad(by_output)(z)))(y, z)
    return np.asarray(v) + OFF["by_input"], np.asarray(g) + OFF["by_output"]


@functools.cache
def identity() -> dict[str, np.ndarray]:
    (y, _), (v, g) = sides(), gradients()
    scale = PARAMS["norm1"]["scale"]
    return by_hand.identity(y, scale, g, v, None, tiny_point.EPSILON)


def one(x) -> np.ndarray:
    """Of the one norm layer."""
    return np.array([x])


def identities():
    of = identity()
    errors = {
        "relative_error": abs(of["right"] - of["left"]) / of["left"],
        "shift_residual": abs(of["shift"]) / np.sqrt(of["m"] * of["size"]),
        "scaling_error": abs(of["expected"] - of["scaling"]) / of["scaling_size"],
    }
    worst = {name: error.max() for name, error in errors.items()}
    return {k: one(x) for k, x in (by_hand.fields(of) | worst).items()}


def curvature_identities():
    (y, z), (v, g) = sides(), gradients()

    def form(loss, at, u):
        """The second derivative along u."""
        return jax.grad(jax.grad(lambda t: loss(at + t * u)))(0.0)

    def norm(t):
        return tiny_point.norm(y + t * v, PARAMS)

    @jax.jit
    def forms():
        """By input and output, and of the norm itself, seen by the loss."""
        u = jax.jacfwd(norm)(0.0)
        bent = (jax.jacfwd(jax.jacfwd(norm))(0.0) * g).sum()
        unit = v * (scale / np.sqrt(s2))
        return (
            form(by_input, y, v),
            form(by_output, z, u),
            bent,
            form(by_output, z, unit),
        )

    scale = PARAMS["norm1"]["scale"]
    s2 = y.var((0, 1, 2)) + tiny_point.EPSILON
    left, carried, bent, first = map(float, forms())
    terms, last, aligned = 0.0, 0.0, []
    for c in range(4):
        y_c, q, v_c = (x[..., c].ravel() for x in (y, g * scale, v))
        yhat, m = (y_c - y_c.mean()) / np.sqrt(s2[c]), y_c.size
        a, b, d = q @ (v_c - v_c.mean()), q @ yhat, yhat @ v_c
        parts = (2 * a * d, 3 * b * d**2 / m, b * m * v_c.var())
        terms += sum(map(abs, parts)) / (m * s2[c])
        last += b * (v_c @ v_c) / (m * s2[c])
        aligned.append(b > 0)
    right, whole = carried + bent, abs(carried) + terms
    fields = {
        "left": left,
        "right": right,
        "relative_error": abs(right - left) / whole,
        "carried": carried,
        "bent": bent,
        "theorem_4_2": first - last,
        "theorem_error": abs(first - last - left) / whole,
        "alignment_share": np.mean(aligned),
    }
    return {name: one(x) for name, x in fields.items()}


def optimum_distance():
    old, new = tiny_point.START["conv1"]["kernel"], PARAMS["conv1"]["kernel"]
    nearest, factors = 0.0, []
    for c in range(4):  # a ray is the weights of a channel
        w0, w = old[..., c].ravel(), new[..., c].ravel()
        factor, *_ = np.linalg.lstsq(w[:, None], w0, rcond=None)
        nearest += np.square(w0 - factor * w).sum()
        factors.append(factor.item())
    fields = {
        "left": nearest,
        "right": nearest,
        "relative_error": 0.0,
        "distance": np.square(old - new).sum(),
        "positive": np.mean(np.array(factors) > 0),
    }
    return {name: one(x) for name, x in fields.items()}


@functools.cache
def start_vector() -> np.ndarray:
    stream = jax.random.fold_in(tiny_point.key(), 0)
    return np.asarray(jax.random.normal(stream, tiny_point.FLAT.shape, jnp.float64))


@functools.cache
def signs() -> np.ndarray:
    """Random vectors of 1 and -1, (samples, P)."""
    stream = jax.random.fold_in(tiny_point.key(), 1)
    keys = jax.random.split(stream, SETTINGS["probe_samples"])
    shape = tiny_point.FLAT.shape
    return np.array([jax.random.rademacher(k, shape, jnp.float64) for k in keys])


def krylov(statistics, vector):
    """Ritz values, weights and residuals of the dense Hessian, ascending."""
    return by_hand.projected(
        tiny_point.hessian(statistics), vector, SETTINGS["probe_iterations"]
    )


def hessian_end(order: slice):
    found = [krylov(statistics, start_vector()) for statistics in STATISTICS]
    return {
        "eigenvalue": np.array([values[order] for values, _, _ in found]),
        "residual": np.array([rests[order] for _, _, rests in found]),
    }


def hessian_density():
    found = [[krylov(statistics, v) for v in signs()] for statistics in STATISTICS]
    return {
        "value": np.array([[values for values, _, _ in row] for row in found]),
        "weight": np.array([[weights for _, weights, _ in row] for row in found]),
    }


def hessian_trace():
    forms = [
        [v @ tiny_point.hessian(statistics) @ v for v in signs()]
        for statistics in STATISTICS
    ]
    samples = SETTINGS["probe_samples"]
    return {
        "trace": np.mean(forms, 1),
        "stderr": np.std(forms, 1, ddof=1) / np.sqrt(samples),
    }


ORACLES: dict[str, Callable[[], dict]] = {
    "gradient_norm": lambda: {"l2": whole_and_layers(gradient())},
    "parameter_norm": lambda: {"l2": whole_and_layers(PARAMS)},
    "loss_range": loss_range,
    "gradient_predictiveness": gradient_predictiveness,
    "effective_smoothness": along_the_gradient,
    "gradient_lipschitz": gradient_lipschitz,
    "internal_covariate_shift": internal_covariate_shift,
    "activation_moments": activation_moments,
    "activation_histogram": activation_histogram,
    "identities": identities,
    "curvature_identities": curvature_identities,
    "optimum_distance": optimum_distance,
    "hessian_top": functools.partial(hessian_end, slice(None, -4, -1)),
    "hessian_bottom": functools.partial(hessian_end, slice(None, 3)),
    "hessian_trace": hessian_trace,
    "hessian_density": hessian_density,
}
