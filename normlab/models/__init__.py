"""Networks by name. Each takes its norm as a field and never knows which norm it is.

A model is a `normlab.models.model.Model`, or any Linen module with the same fields and
the same call. To add one, write a file here, and an `Entry` in `MODELS`. A network in a
package of one's own is named by a flag (`normlab.models.adopted`).
"""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax

from normlab.models import conv_direct, conv_patches
from normlab.models.adopted import adopt
from normlab.models.conv_front import like_lax
from normlab.models.deep_linear import DeepLinear
from normlab.models.entry import Entry
from normlab.models.init import INITS, Init
from normlab.models.resnet import resnet20, resnet56
from normlab.models.small_cnn import SmallCNN
from normlab.models.vgg import vgg11, vgg16
from normlab.registry import Registry
from normlab.width import channels

_BLOCKS = frozenset({"zero_last_scale"})

MODELS = Registry(
    "model",
    {
        "small_cnn": Entry(SmallCNN, 32, frozenset({"norm_dense"})),
        "vgg11": Entry(vgg11, 512),
        "vgg16": Entry(vgg16, 512),
        "resnet20": Entry(resnet20, 64, _BLOCKS),
        "resnet56": Entry(resnet56, 64, _BLOCKS),
        "deep_linear": Entry(DeepLinear, 0),
    },
    adopt,
)

# Settings of norms that concern one layer -> the models that have such a layer.
LAYERS: dict[str, tuple[str, ...]] = {
    setting: tuple(name for name, entry in MODELS.items() if setting in entry.reads)
    for setting in sorted({x for entry in MODELS.values() for x in entry.reads})
}


def widest(name: str, width: float) -> int:
    """The channels of a model's widest convolution; 0 if that is not known here."""
    entry = MODELS.get(name)
    return channels(entry.widest, width) if entry and entry.widest else 0


def _pallas(*args: Any, **options: Any) -> jax.Array:
    from normlab.models import conv_pallas  # Pallas takes long to import

    return conv_pallas.conv_general_dilated(*args, **options)


# Forms of the same function, each fast in another place: "patches" if kernels are
# mapped over members, "direct" in a CPU's loops, and "lax" (the primitive) elsewhere.
# "shared" is "patches" for a program in which members of a seed share their images
# (`normlab.train.call.of_one_seed`). "pallas" is a GPU kernel for such programs.
CONVS: dict[str, Callable[..., jax.Array]] = {
    "patches": conv_patches.conv_general_dilated,
    "shared": like_lax(conv_patches.of_shared_images),
    "direct": conv_direct.conv_general_dilated,
    "pallas": _pallas,
    "lax": jax.lax.conv_general_dilated,
}


# The forms whose programs compute once what members of a seed share.
SHARING = ("shared", "pallas")


def differentiable(conv: str) -> str:
    """The form that stands in for ``conv`` where second derivatives are taken."""
    return "patches" if conv == "pallas" else conv


def make_model(
    name: str,
    *,
    norm: Callable,
    init: str,
    classes: int,
    width: float = 1.0,
    conv: str = "patches",
    dtype: Any = None,
) -> nn.Module:
    """The model called ``name``.

    Args:
      width: multiplies the channels of every layer but the last.
      conv: a name in `CONVS`.
      dtype: the dtype in which convolutions and dense layers compute; by default that
        of images and parameters, float32.

    Raises:
      UserError: ``name`` or ``init`` is unknown; the message lists the known ones.
    """
    return MODELS.find(name).make(
        norm=norm,
        initializers=INITS.find(init),
        classes=classes,
        width=width,
        conv=CONVS[conv],
        dtype=dtype,
    )


__all__ = [
    "CONVS",
    "INITS",
    "LAYERS",
    "MODELS",
    "SHARING",
    "Entry",
    "Init",
    "differentiable",
    "make_model",
    "widest",
]
