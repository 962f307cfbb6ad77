"""Which models have a layer that an option of a norm speaks of."""

from typing import Any

import jax
import jax.numpy as jnp
import pytest

from normlab.models import LAYERS, MODELS, make_model, widest

# The option -> how a model names such a layer to its norm.
NAMED = {"zero_last_scale": "last_of_block", "norm_dense": "dense"}


def kinds_of_layers(name: str) -> set[str]:
    """What the model says of its norms, for images of one colour."""
    said: set[str] = set()

    def norm(layer: str, **where: bool) -> Any:
        said.update(word for word, true in where.items() if true)
        return lambda x, *, statistics, mask=None: x

    model: Any = make_model(name, norm=norm, init="standard", classes=3, width=0.25)
    image = jnp.zeros((1, 32, 32, 1))
    jax.eval_shape(
        lambda key: model.init(key, image, statistics="batch"), jax.random.key(0)
    )
    return said


@pytest.mark.parametrize("name", MODELS)
def test_the_layers_that_a_model_is_said_to_have(name):
    assert kinds_of_layers(name) == {NAMED[option] for option in MODELS[name].reads}


def test_the_models_that_have_a_layer():
    assert LAYERS == {
        "norm_dense": ("small_cnn",),
        "zero_last_scale": ("resnet20", "resnet56"),
    }


@pytest.mark.parametrize("width", [0.25, 1.0])
@pytest.mark.parametrize("name", MODELS)
def test_the_widest_convolution(name, width):
    model: Any = make_model(
        name,
        norm=lambda layer, **where: lambda x, *, statistics, mask=None: x,
        init="standard",
        classes=3,
        width=width,
    )
    image = jnp.zeros((1, 32, 32, 1))
    variables = jax.eval_shape(
        lambda key: model.init(key, image, statistics="batch"), jax.random.key(0)
    )
    kernels = [x.shape for x in jax.tree.leaves(variables) if x.ndim == 4]
    assert widest(name, width) == max((shape[-1] for shape in kernels), default=0)
    assert widest("my_package.Net", width) == 0
