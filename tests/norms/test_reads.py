"""What an entry of NORMS says it reads is what changes what it computes."""

import jax
import numpy as np
import pytest

from normlab.norms import NORMS, make_norm

DEFAULTS = {
    "groups": 2,
    "epsilon": 1e-5,
    "momentum": 0.9,
    "use_scale": True,
    "use_bias": True,
}
OTHERS = {
    "groups": 4,
    "epsilon": 0.5,
    "momentum": 0.5,
    "use_scale": False,
    "use_bias": False,
}


class _Layer:
    """Runs one norm as a whole model would, and returns all that it made."""

    def __init__(self, kind: str, options: dict):
        from flax import linen as nn

        norm = make_norm(kind, **options)

        class Model(nn.Module):
            @nn.compact
            def __call__(self, x):
                return norm("norm")(x, statistics="batch")

        self.model = Model()

    def __call__(self, x):
        variables = self.model.init(jax.random.key(0), x)
        return variables, self.model.apply(variables, x, mutable=["batch_stats"])


def _same(a, b) -> bool:
    if jax.tree.structure(a) != jax.tree.structure(b):
        return False
    pairs = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    return all(np.array_equal(x, y) for x, y in pairs)


@pytest.mark.parametrize("option", DEFAULTS)
@pytest.mark.parametrize("kind", NORMS)
def test_an_option_matters_exactly_where_it_is_read(kind, option):
    x = jax.random.normal(jax.random.key(1), (3, 4, 4, 8)) + 1
    before = _Layer(kind, DEFAULTS)(x)
    after = _Layer(kind, DEFAULTS | {option: OTHERS[option]})(x)
    assert _same(before, after) != (option in NORMS[kind].reads)
