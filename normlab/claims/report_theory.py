"""The report's six numbered statements on how batch norm helps (p. 4 and 5).

F1 and F4 are the theory that it leaves for the future.
"""

import dataclasses

import numpy as np

from normlab.claims import along_path as path
from normlab.claims import measures as m
from normlab.claims.claim import Claim, Side, difference, interaction, level
from normlab.claims.protocols import BY_PRECISE
from normlab.claims.rules import above, at_least, below, identity
from normlab.claims.scale import REPORT, VGG
from normlab.claims.settings import (
    BATCH,
    EXACT,
    NONE,
    PROPER,
    at_rate,
    flagfile,
    layers_of,
    proper_bn,
    side,
    vgg,
)

_SOURCE = "report, section II, statement {} on how batch norm helps"
_HIGH_RATES = (1e-2, 3e-2)


def _over_starts(norm: str) -> Side:
    """The range of a seed's results over initialisations of weights and biases."""
    norm_settings = BATCH if norm == "batch" else NONE
    place = {"init": ("standard", "report"), "batch_size": 50, "lr": 1e-3}
    across = ("init", np.ptp)
    return side(norm, "postmortem_weights", PROPER, norm_settings, place, across=across)


def _decayed(norm: str, decay: float) -> Side:
    vgg_side = vgg(norm)
    # A small network fits only a part of the images. Without fitting, there is nothing
    # to regularise (`normlab.claims.scale`).
    where = {**vgg_side.where, "weight_decay": decay}
    del where["train_size"]
    name = f"{norm} with weight decay {decay:g}"
    flags = flagfile("santurkar_decay_cpu")
    return dataclasses.replace(vgg_side, name=name, flagfile=flags, where=where)


CLAIMS = (
    Claim(
        "H1",
        "Batch norm makes the loss smoother by making gradients smaller, so that the "
        "loss does not change much in any direction.",
        _SOURCE.format(1),
        (
            difference(path.LOSS_RANGE, vgg("batch"), vgg("none"), below(1)),
            difference(path.LOSS_RANGE_AT_LOSS, vgg("batch"), vgg("none"), below(1)),
            difference(path.GRADIENT_SIZE, vgg("batch"), vgg("none"), below(1)),
        ),
        scale=VGG,
        remark="S4.1 tests the report's inequality.",
        name="Gradients are smaller",
    ),
    Claim(
        "H2",
        "Batch norm makes the gradients more Lipschitz, so each gradient predicts the "
        "next.",
        _SOURCE.format(2),
        tuple(
            difference(measure, vgg("batch"), vgg("none"), below(1))
            for measure in (
                path.PREDICTIVENESS,
                path.SMOOTHNESS,
                path.PREDICTIVENESS_AT_LOSS,
                path.SMOOTHNESS_AT_LOSS,
            )
        ),
        scale=VGG,
        remark="S4.2 tests the report's inequality.",
        name="Each gradient predicts the next",
    ),
    Claim(
        "H3",
        "Batch norm prevents exploding and vanishing gradients.",
        _SOURCE.format(3),
        (difference(path.BETWEEN_LAYERS, vgg("batch"), vgg("none"), below(0)),),
        scale=VGG,
        remark="This is taken to mean that gradient norms differ less between layers. "
        "ReLU does not saturate for positive inputs, so saturation is not tested.",
        name="No exploding gradients",
    ),
    Claim(
        "H4",
        "Batch norm allows a larger learning rate.",
        _SOURCE.format(4),
        tuple(
            difference(
                m.FINAL_TEST, at_rate("batch", lr), at_rate("none", lr), above(0)
            )
            for lr in _HIGH_RATES
        ),
        scale=REPORT,
        name="Batch norm allows higher rates",
    ),
    Claim(
        "H5",
        "Batch norm makes the model more robust to the initialization of weights.",
        _SOURCE.format(5),
        (
            difference(
                m.FINAL_TEST,
                _over_starts("batch"),
                _over_starts("none"),
                below(0),
                "range over the standard and the report's initialisation",
            ),
        ),
        scale=REPORT,
        remark="H4 tests another hyperparameter, the learning rate.",
        name="Initialization matters less",
    ),
    Claim(
        "H6",
        "Batch norm also regularizes the network.",
        _SOURCE.format(6),
        tuple(
            difference(measure, proper_bn("batch"), proper_bn("none"), below(0))
            for measure in (m.EVALUATION_GAP, m.GAP_AT_ACCURACY)
        ),
        scale=REPORT,
        remark=f"{BY_PRECISE} At the end, a network that trains slower has a smaller "
        "gap for this reason alone, so the gap is also compared at equal training "
        "accuracies.",
        name="Batch norm regularizes",
    ),
    Claim(
        "H6d",
        "Batch norm reduces the need for other regularization such as weight "
        "penalties.",
        _SOURCE.format(6),
        (
            interaction(
                m.FINAL_TEST,
                (_decayed("batch", 5e-4), _decayed("batch", 0.0)),
                (_decayed("none", 5e-4), _decayed("none", 0.0)),
                below(0),
            ),
        ),
        scale=VGG,
        name="Less need for weight decay",
    ),
)

THEORY = (
    Claim(
        "F1",
        "The known bounds for batch norm also hold for group norm.",
        "report p. 17, as future work; docs/theory.md, (8) and (10)",
        (
            level(path.IDENTITY_ERROR, layers_of("group"), identity(EXACT)),
            level(path.BOUND_RATIO, layers_of("group"), at_least(1 - EXACT)),
        ),
        name="Bounds hold for group norm",
    ),
    Claim(
        "F4",
        "The second-order analysis of batch norm can be extended to group norm.",
        "report's slides, p. 2, as an aim; docs/theory.md, (14)",
        (level(path.CURVATURE_ERROR, layers_of("group"), identity(EXACT)),),
        name="Second-order analysis extends",
    ),
)
