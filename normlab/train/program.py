"""Everything one member of a cell does, as pure functions."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from normlab.cell import CellConfig
from normlab.data import Dataset
from normlab.data.transform import augment, feature_statistics, standardize
from normlab.norms import NORMS
from normlab.quantities import Site
from normlab.settings import ProbeSettings
from normlab.train.channels import make_channels
from normlab.train.chunk import make_chunk
from normlab.train.evaluate import make_evaluate
from normlab.train.measure import make_measure, make_probe, site_of
from normlab.train.network import build_model, build_norm
from normlab.train.optimizers import make_optimizer, rate_at
from normlab.train.precise import make_precise_statistics
from normlab.train.precision import products_in
from normlab.train.state import TrainState, init_state, init_variables
from normlab.train.step import make_step, step_metrics

Data = dict[str, jax.Array]


class Probe(NamedTuple):
    """What a cell's members are measured by, while training.

    Attributes:
      site: what is the same at every point.
      measure: ``(state, indices_B, data) -> {quantity: {field: array}}``.
    """

    site: Site
    measure: Callable


@dataclass(frozen=True)
class Program:
    """The functions of one member; `normlab.sweep` maps them over all.

    Attributes:
      init: ``(seed, hyperparameters) -> state``.
      chunk: ``(state, indices_KB, count, data) -> (state, metrics)``, see
        `normlab.train.chunk`.
      evaluate: ``(state, indices_E, data) -> metrics``: ``train_loss`` and
        ``train_accuracy`` over the training images of those indices, ``test_loss``,
        ``test_accuracy``, and the same with ``_<statistics>`` appended where several
        kinds of statistics are asked for. A regression has no accuracies.
      probe: of the cell's quantities; None if it has none.
      channels: ``(state, indices_B, data) -> {norm layer: statistics}``, see
        `normlab.train.channels`; None if the cell's norm has no groups to assign.
    """

    init: Callable[..., TrainState]
    chunk: Callable
    evaluate: Callable
    probe: Probe | None
    channels: Callable | None = None


def data_arrays(dataset: Dataset) -> dict[str, np.ndarray]:
    """The arrays that `Program`'s functions take as ``data``; images stay uint8."""
    return {
        "train_x": dataset.train_x,
        "train_y": dataset.train_y,
        "test_x": dataset.test_x,
        "test_y": dataset.test_y,
    }


def build_program(
    cell: CellConfig, dataset: Dataset, *, conv: str = "patches"
) -> Program:
    """The program of a cell, for the training images in ``dataset``.

    Args:
      conv: the form of its convolutions, a name in `normlab.models.CONVS`; it
        changes speed, and results by rounding only.

    Raises:
      UserError: an unknown model, norm, initialiser or optimizer, or a norm that
        does not fit the model's channels.
    """
    classes = len(dataset.classes)
    model = build_model(cell, classes, conv=conv)
    tx = make_optimizer(cell.optimizer)
    scale, prepare = preparation(cell, dataset)
    step = make_step(model, tx, prepare, dataset.task)

    def chunk(state, indices_KB, count, data: Data):
        images, labels = data["train_x"], data["train_y"]
        return steps(state, indices_KB, count, images, labels)

    def evaluate(state: TrainState, seen_E: jax.Array, data: Data) -> dict:
        found = {}
        splits = {
            "train": (data["train_x"][seen_E], data["train_y"][seen_E]),
            "test": (data["test_x"], data["test_y"]),
        }
        for kind in cell.bn_eval:
            stats = state.batch_stats
            if kind == "precise" and NORMS[cell.norm].running:
                stats = precise(state.params, stats, data["train_x"])
            measure = by_batch if kind == "batch" else by_running
            for split, (images, labels) in splits.items():
                loss, accuracy = measure(state.params, stats, images, labels)
                found |= {f"{split}_loss_{kind}": loss}
                if accuracy is not None:
                    found |= {f"{split}_accuracy_{kind}": accuracy}
        first = f"_{cell.bn_eval[0]}"
        main = {k.removesuffix(first): v for k, v in found.items() if k.endswith(first)}
        return main | (found if len(cell.bn_eval) > 1 else {})

    steps = make_chunk(step, step_metrics(dataset.task))
    measure = partial(
        make_evaluate,
        model,
        scale,
        batch_size=cell.eval_batch_size,
        task=dataset.task,
        noise=cell.noise_eval,
    )
    by_running, by_batch = measure(statistics="running"), measure(statistics="batch")
    precise = make_precise_statistics(
        build_model(cell, classes, momentum=0.0, conv=conv),
        scale,
        batch_size=cell.eval_batch_size,
        noise=cell.noise_eval,
    )
    init = partial(init_state, model, tx, dataset.image_shape)
    probe = None
    if cell.probes:
        site, measured = build_measure(cell, dataset, cell.probes, cell, conv=conv)
        by_state = make_probe(cell.probes, measured, step)
        probe = Probe(site, products_in(cell.precision, by_state))
    channels = None
    if NORMS[cell.norm].assigned:
        by_layer = make_channels(model, build_norm(cell), prepare)
        channels = products_in(cell.precision, by_layer)
    return Program(
        init,
        products_in(cell.precision, chunk),
        products_in(cell.precision, evaluate),
        probe,
        channels,
    )


def build_measure(
    cell: CellConfig,
    dataset: Dataset,
    names: Sequence[str],
    settings: ProbeSettings,
    *,
    conv: str = "patches",
) -> tuple[Site, Callable]:
    """Where quantities are measured, and `normlab.train.measure.make_measure`'s
    function, under the cell's precision.

    Raises:
      UserError: one of the quantities cannot be measured on this cell.
    """
    model = build_model(cell, len(dataset.classes), conv=conv)
    norm = build_norm(cell)
    site = site_of(cell, settings, norm, model, dataset.image_shape)
    scale, prepare = preparation(cell, dataset)

    def initial(seed: jax.Array) -> Any:
        return init_variables(model, dataset.image_shape, seed)["params"]

    rate = partial(rate_at, make_optimizer(cell.optimizer))
    measured = make_measure(
        names, site, model, norm, dataset.task, prepare, scale, initial, rate
    )
    return site, products_in(cell.precision, measured)


def preparation(cell: CellConfig, dataset: Dataset) -> tuple[Callable, Callable]:
    """(images -> x_NHWC standardised, (key, images) -> x_NHWC augmented as well)."""
    mean, std = feature_statistics(dataset.train_x, cell.standardize)
    scale = partial(standardize, mean=jnp.asarray(mean), std=jnp.asarray(std))

    def prepare(key: jax.Array, x_NHWC: jax.Array) -> jax.Array:
        return augment(key, scale(x_NHWC), cell.augment)

    return scale, prepare
