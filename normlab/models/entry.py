"""What other code needs to know about a model: its entry in `MODELS`."""

from collections.abc import Callable
from typing import NamedTuple

import flax.linen as nn


class Entry(NamedTuple):
    """A model in `MODELS`.

    Attributes:
      make: makes the network, from the fields of `normlab.models.model.Model`.
      widest: the channels of its widest convolution, at a width of 1; 0 if it has none,
        or if that is not known.
      reads: the settings of norms that concern one layer, and it has such a layer:
        ``zero_last_scale`` if it names norms ``last_of_block``, and ``norm_dense`` if
        it names them ``dense``.
    """

    make: Callable[..., nn.Module]
    widest: int
    reads: frozenset[str] = frozenset()
