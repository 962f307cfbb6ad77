"""Networks by name; each takes its norm as a field and never knows its name.

A model is a Linen module with fields ``norm``, ``initializers`` and ``classes``,
called as ``model(x_NHWC, statistics="batch" | "running", mask=None)`` (`SmallCNN`).
To add one: a file here, and a line in `MODELS`.
"""

from collections.abc import Callable

import flax.linen as nn

from normlab.errors import UserError
from normlab.models.init import INITS, Init, find_init
from normlab.models.small_cnn import SmallCNN

MODELS: dict[str, Callable[..., nn.Module]] = {
    "small_cnn": SmallCNN,
}


def make_model(name: str, *, norm: Callable, init: str, classes: int) -> nn.Module:
    """The model called ``name``.

    Raises:
      UserError: ``name`` or ``init`` is unknown; the message lists the known ones.
    """
    if name not in MODELS:
        raise UserError(f"--model={name}: unknown; known: {', '.join(MODELS)}")
    return MODELS[name](norm=norm, initializers=find_init(init), classes=classes)


__all__ = ["INITS", "MODELS", "Init", "find_init", "make_model"]
