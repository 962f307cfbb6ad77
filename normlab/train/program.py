"""Everything one member of a cell does, as pure functions."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from normlab.cell import CellConfig
from normlab.data import Dataset
from normlab.models import differentiable
from normlab.norms import NORMS
from normlab.quantities import Site
from normlab.settings import ProbeSettings
from normlab.train.call import make_call, of_one_seed
from normlab.train.channels import make_channels
from normlab.train.cut import by_example, cut_of
from normlab.train.door import check_network
from normlab.train.evaluations import make_evaluations
from normlab.train.measure import make_measure, make_probe, site_of
from normlab.train.network import Network, build_model, build_network
from normlab.train.optimizers import make_optimizer
from normlab.train.precision import products_in
from normlab.train.schedules import make_rate
from normlab.train.state import TrainState, init_state
from normlab.train.step import make_step, step_metrics


class Probe(NamedTuple):
    """How a cell's members are measured during training.

    Attributes:
      site: what is the same at every point.
      measure: ``(state, indices_B, data) -> {quantity: {field: array}}``.
    """

    site: Site
    measure: Callable


@dataclass(frozen=True)
class Program:
    """The functions of one member; `normlab.sweep` maps them over all members.

    Attributes:
      init: ``(seed, hyperparameters) -> state``.
      call: ``(state, indices_KB, count, data) -> (state, metrics)``, see
        `normlab.train.call`.
      evaluate: ``(state, indices_E, data) -> metrics``, see
        `normlab.train.evaluations`.
      probe: how the cell's quantities are measured; None if it has none.
      call_of_seed: `call` of several members of one seed
        (`normlab.train.call.of_one_seed`).
      channels: ``(state, indices_B, data) -> {norm layer: statistics}``, see
        `normlab.train.channels`; None if the cell's norm has no groups to assign.
    """

    init: Callable[..., TrainState]
    call: Callable
    call_of_seed: Callable
    evaluate: Callable
    probe: Probe | None
    channels: Callable | None = None


def data_arrays(dataset: Dataset) -> dict[str, np.ndarray]:
    """The arrays that `Program`'s functions take as ``data``. Images stay uint8."""
    return {
        "train_x": dataset.train_x,
        "train_y": dataset.train_y,
        "test_x": dataset.test_x,
        "test_y": dataset.test_y,
    }


def to_device(arrays: dict[str, np.ndarray]) -> dict[str, jax.Array]:
    """The dataset on the device."""
    return {name: jnp.asarray(x) for name, x in arrays.items()}


def build_program(
    config: CellConfig, dataset: Dataset, *, conv: str = "patches"
) -> Program:
    """The program of a cell, for the training images in ``dataset``.

    Args:
      conv: the form of the convolutions, a name in `normlab.models.CONVS`. It changes
        the speed, and results only by rounding.

    Raises:
      UserError: the model, norm, initialiser, optimizer or schedule is unknown, or the
        norm does not fit the model's channels.
    """
    network = build_network(config, dataset, conv=conv)
    check_network(network, len(dataset.classes), config.quantities)
    tx = make_optimizer(config.optimizer, config.decay_mask)
    rate = make_rate(config.schedule, config.steps)
    step = make_step(
        network.model,
        tx,
        network.prepare,
        network.loss,
        rate=rate,
        accumulate=config.accumulate * cut_of(config, conv),
    )
    evaluate = make_evaluations(
        network,
        config.eval_statistics,
        config.eval_batch_size,
        config.validation,
        partial(by_example, config),
    )
    in_precision = partial(products_in, config.precision)
    probe = channels = None
    if config.quantities:
        twice = build_model(config, len(dataset.classes), conv=differentiable(conv))
        seen = replace(network, model=twice)
        site, measure = _site_and_measure(config, seen, config.quantities, config, conv)
        measured = make_probe(config.quantities, measure, step, rate)
        probe = Probe(site, in_precision(measured))
    if NORMS[config.norm].assigned:
        channels = in_precision(make_channels(network))
    call = in_precision(make_call(step, step_metrics(network.task)))
    return Program(
        init=partial(init_state, network.model, tx, network.image_shape),
        call=call,
        call_of_seed=of_one_seed(call),
        evaluate=in_precision(evaluate),
        probe=probe,
        channels=channels,
    )


def build_measure(
    config: CellConfig,
    dataset: Dataset,
    names: Sequence[str],
    settings: ProbeSettings,
    *,
    conv: str = "patches",
) -> tuple[Site, Callable]:
    """(The site, and the function of `normlab.train.measure.make_measure` for it).

    The function computes under the cell's precision.

    Raises:
      UserError: one of the quantities cannot be measured on this cell.
    """
    network = build_network(config, dataset, conv=differentiable(conv))
    check_network(network, len(dataset.classes), names)
    site, measure = _site_and_measure(config, network, names, settings, conv)
    return site, products_in(config.precision, measure)


def _site_and_measure(
    config: CellConfig,
    network: Network,
    names: Sequence[str],
    settings: ProbeSettings,
    conv: str,
) -> tuple[Site, Callable]:
    site = site_of(network, settings)
    # A measurement takes the whole batch, however many parts a step takes it in.
    parts = cut_of(replace(config, accumulate=1), conv)
    return site, make_measure(names, site, network, parts)
