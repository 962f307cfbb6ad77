"""The claims of Wu & He 2018 (arXiv 1803.08494) that can be tested at this scale.

They train ResNet-50 on ImageNet. These tests use ResNets on CIFAR-10 instead, which
have to be of full width (`normlab.claims.scale.RESNET`).
"""

from typing import Any

from normlab.claims import measures as m
from normlab.claims.claim import (
    BEST,
    Claim,
    Measure,
    Part,
    Side,
    difference,
    interaction,
)
from normlab.claims.rules import Rule, above, below, within
from normlab.claims.scale import RESNET, VGG
from normlab.claims.settings import side, vgg

_POINT = 1.0
_TABLE, _BEST = "Wu & He 2018, Table {}", "a ResNet, at its best lr"


def _is_resnet(model: str) -> bool:
    """Whether a model is a residual network."""
    return model.startswith("resnet")


_RESNET: dict[str, Any] = {"dataset": "cifar10", "model": _is_resnet}


def _residual(norm: str, batch_size: int) -> Side:
    """A ResNet at the best of the learning rates that its run has."""
    norm_settings: dict[str, Any] = {"norm": norm}
    if norm == "group":
        norm_settings["groups"] = 4
    name = f"{norm} at batch size {batch_size}"
    place = {"batch_size": batch_size}
    return side(
        name, "resnet_batch_size", _RESNET, norm_settings, place, across=("lr", BEST)
    )


def _sizes(
    a: tuple[str, int],
    b: tuple[str, int],
    rule: Rule,
    measure: Measure = m.FINAL_TEST,
) -> Part:
    return difference(measure, _residual(*a), _residual(*b), rule, _BEST)


def _residual_groups(name: str, **norm_settings: Any) -> Side:
    norm_settings["batch_size"] = 32
    return side(name, "resnet_groups", _RESNET, norm_settings, across=("lr", BEST))


def _some_groups() -> tuple[Part, ...]:
    """Compares 4 groups with layer norm and with instance norm."""
    some = _residual_groups("group (G=4)", norm="group", groups=4)
    one = _residual_groups("group (G=1)", norm="group", groups=1)
    each = _residual_groups("instance", norm="instance")
    return tuple(
        difference(m.FINAL_TEST, some, other, above(0), _BEST) for other in (one, each)
    )


CLAIMS = (
    Claim(
        "W1",
        "At a batch size of 32, the validation accuracy of group norm is slightly "
        "lower than that of batch norm (by 0.5%).",
        _TABLE.format(1),
        (_sizes(("group", 32), ("batch", 32), below(0)),),
        scale=RESNET,
        name="Group norm slightly lower at 32",
    ),
    Claim(
        "W2",
        "At a batch size of 32, group norm has a lower training error than batch norm.",
        "Wu & He 2018, section 4.1",
        (_sizes(("group", 32), ("batch", 32), above(0), m.FINAL_TRAIN),),
        scale=RESNET,
        name="Group norm fits better at 32",
    ),
    Claim(
        "W3",
        "Group norm's accuracy is the same over batch sizes from 2 to 32.",
        _TABLE.format(2),
        (_sizes(("group", 2), ("group", 32), within(_POINT)),),
        scale=RESNET,
        remark="The same means within 1 point.",
        name="Group norm ignores batch size",
    ),
    Claim(
        "W4",
        "Batch norm's accuracy falls as the batch size falls (by 11% from 32 to 2).",
        _TABLE.format(2),
        (
            _sizes(("batch", 2), ("batch", 32), below(0)),
            interaction(
                m.FINAL_TEST,
                (_residual("batch", 2), _residual("group", 2)),
                (_residual("batch", 32), _residual("group", 32)),
                below(0),
                _BEST,
            ),
        ),
        scale=RESNET,
        remark="Smaller batches mean more steps, which also change the accuracy. So it "
        "has to fall in comparison with group norm, too.",
        name="Batch norm needs large batches",
    ),
    Claim(
        "W5",
        "At batch sizes of 2 and 4 group norm is better than batch norm.",
        _TABLE.format(2),
        tuple(_sizes(("group", n), ("batch", n), above(0)) for n in (2, 4)),
        scale=RESNET,
        name="Small batches favour group norm",
    ),
    Claim(
        "W6",
        "Group norm with several groups is better than with one (layer norm) and than "
        "with one per channel (instance norm).",
        _TABLE.format(3),
        _some_groups(),
        scale=RESNET,
        name="Groups beat layer and instance",
    ),
    Claim(
        "W7",
        "In a VGG, group norm is better than batch norm (by 0.4%).",
        "Wu & He 2018, Figure 6",
        (difference(m.FINAL_TEST, vgg("group"), vgg("batch"), above(0), "VGG"),),
        scale=VGG,
        name="Group norm is better in a VGG",
    ),
)
