"""What an entry of NORMS says it reads is what changes what it computes."""

from unittest import mock

import jax
import numpy as np
import pytest
from flax import linen as nn

from normlab.norms import NORM_INITS, NORMS, make_norm
from normlab.settings import NormSettings, settings_of
from tests.declared import another

# A scale of 1 hides the place of a noise.
TWOS = NORM_INITS["standard"]._replace(scale_init=nn.initializers.constant(2.0))
# Read by evaluation, which hands out the key of the noise, and by whoever regroups.
ELSEWHERE = {"noise_eval", "regroup_at", "regroup_every", "grouping"}
# An option -> two values that a norm must tell apart, if it reads it. Where nothing is
# said here they are its default and another that its declaration allows.
SAID = {
    "groups": (2, 4),
    "epsilon": (1e-5, 0.5),
    "norm_init": ("twos", "standard"),
    "norm_p": ("1", "inf"),
}
VALUES = {
    spec.name: SAID.get(spec.name, (spec.default, another(spec.name)))
    for spec, _ in settings_of(NormSettings)
    if spec.name not in ELSEWHERE
}
DEFAULTS = {option: values[0] for option, values in VALUES.items()}


class _Layer:
    """Runs one norm as a whole model would, and returns all that it made."""

    def __init__(self, kind: str, options: dict):
        norm = make_norm(kind, **options)

        class Model(nn.Module):
            @nn.compact
            def __call__(self, x):
                x = norm("norm", last_of_block=True)(x, statistics="batch")
                return norm("dense", dense=True)(x, statistics="batch")

        self.model = Model()

    def __call__(self, x):
        # Not jitted: the operations are compiled once for all options.
        variables = self.model.init(jax.random.key(0), x)
        rngs = {"noise": jax.random.key(1)}
        return variables, self.model.apply(
            variables, x, mutable=["batch_stats"], rngs=rngs
        )


def _same(a, b) -> bool:
    if jax.tree.structure(a) != jax.tree.structure(b):
        return False
    pairs = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    return all(np.array_equal(x, y) for x, y in pairs)


@pytest.fixture(scope="module", autouse=True)
def twos():
    with mock.patch.dict(NORM_INITS, twos=TWOS):
        yield


@pytest.fixture(scope="module")
def before(twos):
    """What each norm makes under `DEFAULTS`."""
    return {kind: _Layer(kind, DEFAULTS)(batch()) for kind in NORMS}


def batch():
    return np.random.default_rng(1).normal(1, 1, (3, 4, 4, 8)).astype("float32")


@pytest.mark.parametrize("option", VALUES)
@pytest.mark.parametrize("kind", NORMS)
def test_an_option_matters_exactly_where_it_is_read(kind, option, before):
    after = _Layer(kind, DEFAULTS | {option: VALUES[option][1]})(batch())
    assert _same(before[kind], after) != (option in NORMS[kind].reads)


def test_every_option_is_looked_at():
    read = frozenset().union(*(entry.reads for entry in NORMS.values()))
    assert read == VALUES.keys() | ELSEWHERE
