"""The claims of Wu & He 2018 (arXiv 1803.08494) that can be tested at this scale.

They train ResNet-50 on ImageNet. These tests use the report's network and small ResNets
on CIFAR-10 instead.
"""

from collections.abc import Callable
from typing import Any

from normlab.claims import measures as m
from normlab.claims.claim import Claim, Measure, Part, Side, difference, interaction
from normlab.claims.rules import Rule, above, below, within
from normlab.claims.settings import (
    AFFINE,
    PROPER,
    side,
    sized,
    vgg,
)

_POINT = 1.0
_TABLE = "Wu & He 2018, Table {}"


def _is_resnet(model: str) -> bool:
    """Whether a model is a residual network."""
    return model.startswith("resnet")


_RESNET: dict[str, Any] = {"dataset": "cifar10", "model": _is_resnet}


def _small(norm: str, batch_size: int) -> Side:
    """The report's network at the best of its learning rates."""
    return sized(norm, batch_size, (3e-4, 1e-3, 3e-3), across=("lr", "max"))


def _residual(norm: str, batch_size: int) -> Side:
    """A ResNet at the best of its learning rates."""
    norm_settings = {"norm": norm}
    name = f"{norm} at batch size {batch_size}"
    place = {"batch_size": batch_size, "lr": (0.0125, 0.1)}
    return side(
        name, "resnet_batch_size", _RESNET, norm_settings, place, across=("lr", "max")
    )


_NETWORKS = (("the report's network", _small), ("a ResNet", _residual))


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


def _falls(norm: str, rule: Rule) -> Part:
    """The change from batch size 32 to 2, minus the change without a norm.

    Smaller batches mean more steps, so accuracy also changes without a norm.
    """
    return _net_of(_small, norm, "none", rule, "the report's network")


def _falls_more(rule: Rule) -> Part:
    """The change minus that of group norm: without a norm, a ResNet hardly trains."""
    return _net_of(_residual, "batch", "group", rule, "a ResNet")


def _net_of(
    of: Callable[[str, int], Side], norm: str, control: str, rule: Rule, words: str
) -> Part:
    return interaction(
        m.FINAL_TEST,
        (of(norm, 2), of(control, 2)),
        (of(norm, 32), of(control, 32)),
        rule,
        f"{words}, at its best lr",
    )


def _small_groups(groups: int) -> Side:
    norm_settings = {"norm": "group", "groups": groups}
    place = {"batch_size": 50, "lr": 1e-3, "epochs": 5.0}
    name = f"group (G={groups})"
    return side(name, "postmortem_groups", PROPER | AFFINE, norm_settings, place)


def _residual_groups(name: str, **norm_settings: Any) -> Side:
    norm_settings["lr"] = (0.05, 0.2)
    return side(name, "resnet_groups", _RESNET, norm_settings, across=("lr", "max"))


def _some_groups() -> tuple[Part, ...]:
    """Compares 4 groups with layer norm and with instance norm.

    In the report's network, 16 groups are instance norm in the first layer only.
    """
    some = _residual_groups("group (G=4)", norm="group", groups=4)
    one = _residual_groups("group (G=1)", norm="group", groups=1)
    each = _residual_groups("instance", norm="instance")
    small = (_small_groups(1), _small_groups(16))
    return (
        *(
            difference(
                m.FINAL_TEST, _small_groups(4), other, above(0), "the report's network"
            )
            for other in small
        ),
        *(
            difference(m.FINAL_TEST, some, other, above(0), "a ResNet, at its best lr")
            for other in (one, each)
        ),
    )


CLAIMS = (
    Claim(
        "W1",
        "At a batch size of 32, the validation accuracy of group norm is slightly "
        "lower than that of batch norm (by 0.5%).",
        _TABLE.format(1),
        _sizes(("group", 32), ("batch", 32), below(0)),
    ),
    Claim(
        "W2",
        "At a batch size of 32, group norm has a lower training error than batch norm.",
        "Wu & He 2018, section 4.1",
        _sizes(("group", 32), ("batch", 32), above(0), m.FINAL_TRAIN),
    ),
    Claim(
        "W3",
        "Group norm's accuracy is the same over batch sizes from 2 to 32.",
        _TABLE.format(2),
        (_falls("group", within(_POINT)),),
        remark="The same means within 1 point, after subtracting the change without a "
        "norm. A ResNet hardly trains without a norm, so the effect of more steps "
        "cannot be separated there.",
    ),
    Claim(
        "W4",
        "Batch norm's accuracy falls as the batch size falls (by 11% from 32 to 2).",
        _TABLE.format(2),
        (_falls("batch", below(0)), _falls_more(below(0))),
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
        "Group norm with several groups is better than with one (layer norm) and than "
        "with one per channel (instance norm).",
        _TABLE.format(3),
        _some_groups(),
        remark="In the report's network, 16 groups are instance norm in the first "
        "layer only.",
    ),
    Claim(
        "W7",
        "In a VGG, group norm is better than batch norm (by 0.4%).",
        "Wu & He 2018, Figure 6",
        (difference(m.FINAL_TEST, vgg("group"), vgg("batch"), above(0), "VGG"),),
    ),
)
