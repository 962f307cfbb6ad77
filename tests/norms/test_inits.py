"""How scale and bias start: the report's group norm draws one tensor for both."""

import functools

import jax
import numpy as np

from normlab.norms import NORM_INITS, GroupNorm

X_NHWC = np.ones((2, 2, 2, 4096), "float32")
REPORT = NORM_INITS["report"]


@functools.cache
def started(init=REPORT, **options):
    layer = GroupNorm(num_groups=4, **init._asdict(), **options)
    begun = jax.jit(lambda key: layer.init(key, X_NHWC)["params"])
    return jax.tree.map(np.asarray, begun(jax.random.key(0)))


def test_the_reports_scale_and_bias_are_one_draw():
    params = started()
    np.testing.assert_array_equal(params["scale"], params["bias"])


def test_the_draw_is_a_normal_truncated_at_two():
    """Its variance is 1 - 4 phi(2) / (2 Phi(2) - 1), its fourth moment 1.4164."""
    scale = np.asarray(started()["scale"])
    assert np.abs(scale).max() < 2
    assert np.abs(scale).max() > 1.9
    error = np.sqrt((1.4164 - 0.7737**2) / len(scale))  # of the mean square
    assert abs(np.mean(scale**2) - 0.7737) < 4 * error
    assert abs(scale.mean()) < 4 * np.sqrt(0.7737 / len(scale))


def test_a_bias_without_a_scale_is_drawn_alone():
    params = started(use_scale=False)
    assert "scale" not in params
    assert 0.5 < float(np.asarray(params["bias"]).std()) < 1


def test_the_standard_start_is_one_and_zero():
    params = started(NORM_INITS["standard"])
    np.testing.assert_array_equal(params["scale"], 1)
    np.testing.assert_array_equal(params["bias"], 0)
