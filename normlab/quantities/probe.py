"""Measures quantities for any loss, in any loop: `normlab.probe`."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax

from normlab.checks import check_settings
from normlab.errors import UserError
from normlab.quantities import check_names, needs
from normlab.quantities.found import Found
from normlab.quantities.instrument import Given, Instrument
from normlab.quantities.leaves import Where
from normlab.settings import ProbeSettings

# What a quantity needs -> the argument of a measurement that gives it.
_ARGUMENTS = {"lr": "lr", "next": "next_params", "initial": "initial"}


class Measure:
    """The function that `probe` returns; see there."""

    def __init__(self, names: tuple[str, ...], instrument: Instrument, fixed: Any):
        self._names, self._instrument, self._fixed = names, instrument, fixed
        # Compiled once, so that a plain loop needs no jit of its own. Inside of the
        # caller's jit it becomes a part of the caller's program.
        self._run = jax.jit(self._measured)

    def __call__(
        self,
        params: Any,
        batch: Any,
        *,
        aux: Any = None,
        lr: Any = None,
        next_params: Any = None,
        key: Any = None,
        initial: Any = None,
        fixed_batch: Any = None,
        value_and_grad: Any = None,
    ) -> Found:
        """``{quantity: {field: array}}`` at ``params``, on ``batch``; see `probe`."""
        given = {"lr": lr, "next_params": next_params, "initial": initial}
        for what, argument in _ARGUMENTS.items():
            if given[argument] is None and needs(self._names, what):
                name = next(n for n in self._names if needs([n], what))
                raise UserError(
                    f"{name} needs {argument}: measure(..., {argument}=...)"
                )
        self._instrument.check_call(params, aux)
        if fixed_batch is None:
            fixed_batch = self._fixed
        return self._run(
            Given(
                params=params,
                batch=batch,
                aux=aux,
                lr=lr,
                next_params=next_params,
                key=jax.random.key(0) if key is None else key,
                initial=initial,
                fixed_batch=batch if fixed_batch is None else fixed_batch,
                known=value_and_grad,
            )
        )

    def _measured(self, given: Given) -> Found:
        return self._instrument.measure(self._names, given)


def probe(
    loss: Callable[..., Any],
    names: Sequence[str],
    *,
    etas: Sequence[float] = (0.5, 1.0, 2.0, 4.0),
    fixed_batch: Any = None,
    fixed_loss: Callable[..., Any] | Mapping[str, Callable[..., Any]] | None = None,
    chunk: int | None = None,
    where: Where | None = None,
    layers: Sequence[str] | None = None,
    iterations: int = 20,
    samples: int = 10,
    channels: Sequence[int] = (0, 1, 2),
    bins: int = 50,
) -> Measure:
    """A function that measures quantities of any loss at a point of any training.

    ::

        measure = normlab.probe(loss, ["effective_smoothness", "hessian_top"])
        found = measure(params, batch, lr=0.1)
        found["effective_smoothness"]["beta"]  # (etas,)

    ``measure(params, batch, *, aux, lr, next_params, key, initial, fixed_batch,
    value_and_grad)`` returns ``{quantity: {field: array}}``. It is pure: it works
    under jit, scan and vmap, and it compiles itself in a plain loop. Its arguments are:

    - ``params``: any pytree of real arrays (Flax's or Haiku's dicts, an NNX State, an
      Equinox module filtered to arrays). Leaves of integer types stay as they are.
    - ``batch``: any pytree; ``loss`` reads it.
    - ``aux``: what else the loss reads (running averages, a key for dropout), if it
      takes a third argument. All losses of one measurement get the same.
    - ``lr``: the learning rate of this very step. Trial steps are in units of it.
    - ``next_params``: the parameters after this step, for ``gradient_lipschitz`` and
      ``internal_covariate_shift``.
    - ``key``: for random vectors; ``jax.random.key(0)`` by default.
    - ``initial``: the parameters before training, for ``optimum_distance``.
    - ``fixed_batch``: as the argument of `probe`, if the data is only known here.
    - ``value_and_grad``: ``(loss, gradient)`` at ``params``, if the training has just
      computed them. It saves one gradient: four etas then cost four gradients, and
      five without it.

    Quantities of norm layers (``identities``, ``activation_moments`` and so on) find
    Linen's norm layers themselves. In any other framework the network calls its norm
    layers through `normlab.tap`.

    Args:
      loss: ``loss(params, batch)`` or ``loss(params, batch, aux)``, a scalar.
      names: quantities, of `normlab.quantities.QUANTITIES`.
      etas: lengths of the trial steps along the gradient, in units of ``lr``.
      fixed_batch: the examples of which Hessians are, the same at every step; by
        default the batch of the step. `normlab.Chunks` reads a data set that does not
        fit in memory.
      fixed_loss: the loss that Hessians are of, if it is another one (in evaluation
        mode, for example), or several by name. By default ``loss``.
      chunk: if given, the loss over ``fixed_batch`` is the mean over chunks of this
        many examples, of which one is in memory at a time. The loss must be a mean
        over examples, and each chunk has its own batch statistics.
      where: vary only these parameters: a predicate on their paths
        (``"conv1/kernel"``), a list of layers, or a tree of booleans like ``params``.
        Gradients, trial steps and Hessians are then those of the subset, as if the
        others were constants.
      layers: the layers in the order of the forward pass, for
        ``internal_covariate_shift``. A layer is a top-level entry of the parameters,
        or an item of a top-level list.
      iterations: Lanczos iterations of a Hessian.
      samples: random vectors for a Hessian's trace and density.
      channels, bins: which channels' activations are measured, and the bins of their
        histograms.

    Raises:
      UserError: a quantity is unknown or a setting is out of its range; and, when the
        function is called, something that a quantity needs is missing.
    """
    check_names(names)
    settings = ProbeSettings(
        probe_etas=tuple(float(eta) for eta in etas),
        probe_channels=tuple(channels),
        probe_bins=bins,
        probe_iterations=iterations,
        probe_samples=samples,
    )
    try:
        check_settings(settings)
    except UserError as error:
        raise UserError(str(error).replace("--probe_", "")) from None
    if chunk is not None and chunk < 1:
        raise UserError(f"chunk={chunk}: must be at least 1")
    fixed = {"batch": loss} if fixed_loss is None else fixed_loss
    instrument = Instrument(
        loss=loss,
        settings=settings,
        fixed=dict(fixed) if isinstance(fixed, Mapping) else {"batch": fixed},
        chunk=chunk,
        where=where,
        layers=None if layers is None else tuple(layers),
    )
    return Measure(tuple(names), instrument, fixed_batch)
