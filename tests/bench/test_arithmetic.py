"""The counts behind the shares, against numbers worked out by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from normlab.bench.arithmetic import layer_products, step_bytes, step_gflop, times_moved
from normlab.members.memory import tree_bytes
from normlab.models import make_model
from normlab.norms import make_norm
from normlab.train.optimizers import OPTIMIZERS
from tests.bench.small import task


def test_layers_of_cifar():
    assert [tuple(layer) for layer in layer_products("small_cnn", (32, 32, 3), 10)] == [
        (1024, 27, 16),
        (256, 144, 32),
        (1, 2048, 256),
        (1, 256, 10),
    ]


def test_a_step_on_cifar():
    # Multiply-adds of an image, forward: 442368 + 1179648 + 524288 + 2560.
    # The first layer counts twice, the others three times: 6004224 in all.
    assert step_gflop("small_cnn", (32, 32, 3), 10, 1) == pytest.approx(
        2 * 6004224 / 1e9
    )
    assert step_gflop("small_cnn", (32, 32, 3), 10, 50) == pytest.approx(0.6004224)


def test_products_of_other_networks():
    """Multiply-adds of an image that others count: 313 and 41 million."""
    counts = {"vgg16": (313.2, 14), "resnet20": (40.55, 20)}
    for model, (millions, count) in counts.items():
        layers = layer_products(model, (32, 32, 3), 10)
        assert len(layers) == count and layers[0].inputs == 27
        each = sum(layer.multiply_adds for layer in layers) / 1e6
        assert each == pytest.approx(millions, rel=1e-3)


def test_odd_sides_round_up_at_each_pool():
    assert [tuple(layer) for layer in layer_products("small_cnn", (7, 5, 1), 4)] == [
        (35, 9, 16),
        (12, 144, 32),
        (1, 2 * 2 * 32, 256),
        (1, 256, 4),
    ]


@pytest.mark.parametrize("shape", [(32, 32, 3), (8, 8, 1), (7, 5, 2)])
def test_layers_are_the_models(shape):
    model = make_model("small_cnn", norm=make_norm("none"), init="standard", classes=10)
    images = jnp.zeros((1, *shape))

    def init(key):
        return model.init(key, images, statistics="batch")

    params = jax.eval_shape(init, jax.random.key(0))["params"]
    kernels = [params[name]["kernel"].shape for name in sorted(params)]
    layers = layer_products("small_cnn", shape, 10)
    assert [int(np.prod(kernel)) for kernel in kernels] == [
        layer.inputs * layer.features for layer in layers
    ]
    # The convolutions' outputs, as many as the model says.
    _, found = jax.eval_shape(
        lambda p: model.apply(
            {"params": p},
            images,
            statistics="batch",
            capture_intermediates=True,
            mutable=["intermediates"],
        ),
        params,
    )
    for name, layer in zip(("conv1", "conv2"), layers, strict=False):
        (output,) = found["intermediates"][name]["__call__"]
        assert output.size == layer.positions * layer.features


def test_bytes_of_a_step():
    # 532202 parameters of 4 bytes, and 50 images of 3072.
    assert step_bytes((32, 32, 3), 50, 4 * 532202) == 28 * 532202 + 50 * 3072
    momentum = step_bytes((32, 32, 3), 50, 4 * 532202, "momentum")
    assert momentum == 20 * 532202 + 50 * 3072


def test_a_kernel_moves_with_the_moments_of_its_optimizer():
    # Muon keeps a momentum for kernels; the rest is Adam's, and small.
    moments = {"sgd": 0, "momentum": 1, "adam": 2, "adamw": 2, "lion": 1, "rmsprop": 1}
    moments["muon"] = 1
    assert {name: (times_moved(name) - 3) / 2 for name in OPTIMIZERS} == moments


def test_parameters_of_the_task_are_the_reports(dataset):
    params = task(dataset, "none").initial_params
    # 8x8x3, three classes: 448 + 4640 + 33024 + 771 parameters.
    assert tree_bytes(params) == 4 * (448 + 4640 + 33024 + 771)
