"""Networks from outside the package: a Linen module becomes a model like the others."""

import dataclasses
import inspect
from collections.abc import Callable
from typing import Any, cast

import flax.linen as nn
import jax
import jax.numpy as jnp

from normlab.errors import UserError
from normlab.models.entry import Entry
from normlab.models.init import INITS
from normlab.models.model import Model
from normlab.plugins import accepted, calling


def adopt(found: Any, name: str) -> Entry:
    """The entry of a plugin.

    Args:
      found: a class of Linen modules, or a function that makes one. It may have fields
        (or take arguments) called like those of `Model`: ``classes`` and ``norm`` are
        the two that matter. A module is called with x of shape (N, H, W, C), and with
        those of ``statistics``, ``mask`` and ``train`` that it takes.
      name: the plugin's name.

    Raises:
      UserError: it is something else, or needs an argument that no model gets.
    """
    says = f"--model={name}"
    if inspect.isclass(found) and issubclass(found, Model):
        return Entry(found, widest=0)
    if not callable(found) or isinstance(found, nn.Module):
        raise UserError(
            f"{says}: a model is a class of flax.linen modules, or a function that "
            f"makes one, not a {type(found).__name__}"
        )
    if inspect.isclass(found) and not issubclass(found, nn.Module):
        raise UserError(
            f"{says}: {found.__name__} is not a class of flax.linen modules"
        )
    accepted(found, dict.fromkeys(_FIELDS), says)
    return Entry(_Maker(cast(Any, found), name), widest=0)


_FIELDS = ("norm", "initializers", "classes", "width", "conv", "dtype")


@dataclasses.dataclass(frozen=True)
class _Maker:
    """Makes `Adopted` networks."""

    make: Callable[..., nn.Module]
    name: str

    def __call__(self, *, norm: Any, **fields: Any) -> "Adopted":
        """The network.

        Raises:
          UserError: a setting asks for something that the network has not.
        """
        says = f"--model={self.name}"
        taken = accepted(self.make, {"norm": norm, **fields}, says)
        asked = {
            "norm": getattr(norm, "kind", "none") != "none",
            "width": fields["width"] != 1,
            "initializers": fields["initializers"] is not INITS["standard"],
            "dtype": fields["dtype"] is not None,
        }
        for field, wanted in asked.items():
            if wanted and field not in taken:
                raise UserError(f"{says} has no field {field!r}; {_INSTEAD[field]}")
        del fields["classes"]
        kept = {k: v for k, v in taken.items() if k != "norm"}
        return Adopted(norm, self, tuple(kept.items()), "norm" in taken)


_INSTEAD = {
    "norm": "use --norm=none, or add it and call it where the network normalizes",
    "width": "use --width=1",
    "initializers": "use --init=standard, under which it starts as it likes",
    "dtype": "use --precision=float32",
}


@dataclasses.dataclass(frozen=True, eq=False)
class _Bound:
    """A norm whose layers know the statistics and the mask of this call.

    So a network may call ``self.norm("norm1")(x)``.
    """

    norm: Callable[..., Callable[..., jax.Array]]
    statistics: str
    mask: jax.Array | None

    def __call__(self, name: str, **place: bool) -> Callable[..., jax.Array]:
        layer = self.norm(name, **place)

        def bound(
            x: jax.Array,
            *,
            statistics: str | None = None,
            mask: jax.Array | None = None,
        ) -> jax.Array:
            mask = self.mask if mask is None else mask
            if mask is not None:
                mask = mask.reshape(mask.shape[0], *(1 for _ in x.shape[1:]))
            return layer(x, statistics=statistics or self.statistics, mask=mask)

        return bound


class Adopted(nn.Module):
    """A network from outside the package, called like a `Model`.

    Its variables are those of the network itself, by the same names.

    Attributes:
      norm: as in `Model`.
      maker: what makes the network.
      fields: its other fields, by name.
      takes_norm: whether it has a field for the norm.
    """

    norm: Any
    maker: _Maker
    fields: tuple[tuple[str, Any], ...]
    takes_norm: bool

    @nn.compact
    def __call__(
        self, x_NHWC: jax.Array, *, statistics: str, mask: jax.Array | None = None
    ) -> jax.Array:
        """Outputs of shape (N, classes); see `Model`."""
        with calling("model", self.maker.name):
            fields = dict(self.fields)
            if self.takes_norm:
                fields["norm"] = _Bound(self.norm, statistics, mask)
            network: Any = self.maker.make(**fields)
            says = f"--model={self.maker.name}"
            if not isinstance(network, nn.Module):
                kind = type(network).__name__
                raise UserError(f"{says}: it makes a {kind}, not a flax.linen module")
            nn.share_scope(self, network)
            offered = {
                "statistics": statistics,
                "mask": mask,
                "train": statistics == "batch",
            }
            call = accepted(type(network).__call__, offered, says, skip=2)
            outputs = self._outputs(network, x_NHWC, call)
        if not hasattr(outputs, "shape"):
            raise UserError(f"{says}: it returns a {type(outputs).__name__}")
        if not jnp.issubdtype(outputs.dtype, jnp.floating):
            raise UserError(f"{says}: it returns {outputs.dtype}, not floats")
        return outputs.astype(jnp.promote_types(outputs.dtype, jnp.float32))

    def _outputs(self, network: Any, x: jax.Array, call: dict[str, Any]) -> jax.Array:
        if not call.get("train") or self.is_mutable_collection("batch_stats"):
            return network(x, **call)
        # flax's batch norm writes its averages whenever it uses a batch's statistics.
        # A measurement must not change them, so they go to a copy that is dropped.
        rngs = {"noise": self.make_rng("noise")} if self.has_rng("noise") else {}
        alone = network.clone(parent=None)
        outputs, _ = alone.apply(
            self.variables, x, **call, mutable=["batch_stats"], rngs=rngs
        )
        return outputs
