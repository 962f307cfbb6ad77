"""What Wu & He 2018 (arXiv 1803.08494) say that can be tested at this scale.

They train ResNet-50 on ImageNet; here the report's network and small ResNets on
CIFAR-10 stand for it.
"""

from typing import Any

import numpy as np

from normlab.claims import measures as m
from normlab.claims.claim import Claim, Measure, Part, Side, difference
from normlab.claims.rules import Rule, above, below, within
from normlab.claims.santurkar import vgg
from normlab.claims.settings import AFFINE, BATCH, BATCH_SIZES, PROPER, group, side

_POINT = 1.0
_TABLE = "Wu & He 2018, Table {}"
_RATES = (3e-4, 1e-3, 3e-3)


def is_resnet(model: str) -> bool:
    """Whether a model is a residual network."""
    return model.startswith("resnet")


_RESNET: dict[str, Any] = {"dataset": "cifar10", "model": is_resnet}


def small(norm: str, batch_size: int) -> Side:
    """The report's network at the best of its learning rates."""
    own = BATCH if norm == "batch" else group(4)
    name, place = _sized(norm, batch_size), {"batch_size": batch_size, "lr": _RATES}
    flags = "postmortem_batch_size"
    return side(name, flags, BATCH_SIZES, own, place, across=("lr", np.max))


def residual(norm: str, batch_size: int) -> Side:
    """A ResNet at the best of its learning rates."""
    own = {"norm": norm}
    name, place = _sized(norm, batch_size), {"batch_size": batch_size}
    return side(name, "resnet_batch_size", _RESNET, own, place, across=("lr", np.max))


def _sized(norm: str, batch_size: int) -> str:
    return f"{norm} at batch size {batch_size}"


_NETWORKS = (("the report's network", small), ("a ResNet", residual))


def _sizes(
    a: tuple[str, int],
    b: tuple[str, int],
    rule: Rule,
    measure: Measure = m.FINAL_TEST,
) -> tuple[Part, ...]:
    return tuple(
        difference(measure, of(*a), of(*b), rule, f"{words}, at its best lr")
        for words, of in _NETWORKS
    )


# As many as there are channels: 16 in the report's first layer, 8 in the ResNet's.
_MOST = {"postmortem_groups": 16, "resnet_groups": 8}


def _groups(groups: int, other: int | None) -> tuple[Part, ...]:
    """``groups`` against ``other``; None stands for `_MOST`."""

    def of(flags: str, settings: dict[str, Any], number: int) -> Side:
        own = {"norm": "group", "groups": number}
        return side(f"group (G={number})", flags, settings, own)

    places = (
        ("the report's network", "postmortem_groups", PROPER | AFFINE),
        ("a ResNet", "resnet_groups", _RESNET),
    )
    return tuple(
        difference(
            m.FINAL_TEST,
            of(flags, settings, groups),
            of(flags, settings, _MOST[flags] if other is None else other),
            above(0),
            words,
        )
        for words, flags, settings in places
    )


CLAIMS = (
    Claim(
        "W1",
        "At a batch size of 32 group norm is somewhat behind batch norm on the "
        "validation set (by 0.5 %).",
        _TABLE.format(1),
        _sizes(("group", 32), ("batch", 32), below(0)),
    ),
    Claim(
        "W2",
        "At a batch size of 32 group norm has a lower training error than batch norm.",
        "Wu & He 2018, section 4.1",
        _sizes(("group", 32), ("batch", 32), above(0), m.FINAL_TRAIN),
    ),
    Claim(
        "W3",
        "Group norm's accuracy is the same over batch sizes from 2 to 32.",
        _TABLE.format(2),
        _sizes(("group", 2), ("group", 32), within(_POINT)),
        remark="The same is within a point.",
    ),
    Claim(
        "W4",
        "Batch norm's accuracy falls with the batch size (by 11 % from 32 to 2).",
        _TABLE.format(2),
        _sizes(("batch", 2), ("batch", 32), below(0)),
    ),
    Claim(
        "W5",
        "At batch sizes of 2 and 4 group norm is better than batch norm.",
        _TABLE.format(2),
        _sizes(("group", 2), ("batch", 2), above(0))
        + _sizes(("group", 4), ("batch", 4), above(0)),
    ),
    Claim(
        "W6",
        "Group norm with some groups is better than with one (layer norm) and with as "
        "many as there are channels (instance norm).",
        _TABLE.format(3),
        _groups(4, 1) + _groups(4, None),
        remark="The most groups are as many as the first layers have channels.",
    ),
    Claim(
        "W7",
        "In a VGG group norm is better than batch norm (by 0.4 %).",
        "Wu & He 2018, Figure 6",
        (difference(m.FINAL_TEST, vgg("group"), vgg("batch"), above(0), "VGG"),),
    ),
)
