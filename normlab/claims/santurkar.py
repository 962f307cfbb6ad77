"""What Santurkar et al. 2018 (arXiv 1805.11604v3) say, by figure and by theorem."""

import dataclasses
from typing import Any

from normlab.claims import along_path as path
from normlab.claims import measures as m
from normlab.claims.claim import Claim, Measure, Part, Side, difference, level
from normlab.claims.rules import Rule, above, at_least, at_most, below, within
from normlab.claims.settings import EXACT, layers_of, side, vgg

_PAPER = "Santurkar et al. 2018, {}"
# Nearly as fast: within two points of training accuracy.
_NEARLY = 2.0
# Of ten classes one in ten is right by chance.
_CHANCE = 15.0
_COSINE = 0.05
# Better: a tenth less loss.
_BETTER = 0.9
_LINEAR: dict[str, Any] = {"dataset": "gaussian_uniform", "model": "deep_linear"}


def linear(norm: str, p: str | None = None) -> Side:
    """A deep linear network."""
    norm_settings: dict[str, Any] = {"norm": norm} | (
        {} if p is None else {"norm_p": p}
    )
    name = norm if p is None else f"l{p}"
    return side(name, "santurkar_dln", _LINEAR, norm_settings, statistics="batch")


def _beside(
    measure: Measure, rule: Rule, lr: float = 0.1, norm: str = "batch", **more: Any
) -> Part:
    sides = vgg(norm, lr, **more), vgg("none", lr, **more)
    return difference(measure, *sides, rule, f"VGG, lr {lr:g}")


def _lp_trains(p: str) -> Part:
    flags = "santurkar_lp_cpu"
    lp = vgg("batch_lp", flags=flags, norm_p=p)
    lp = dataclasses.replace(lp, name=f"l{p}")
    none = vgg("none", flags=flags)
    return difference(m.SPEED, lp, none, above(0), "VGG, lr 0.1")


_NOISY = "santurkar_noisy_cpu"
_P = ("1", "2", "inf")
_LOSS, _DLN = m.at_end("train_loss", ratio=True), "deep linear network"

_FIGURES = (
    Claim(
        "SF1",
        "With batch norm a network trains faster, ends better, and trains at a "
        "learning rate at which it does not train without.",
        _PAPER.format("Figure 1"),
        (
            _beside(m.SPEED, above(0)),
            _beside(m.FINAL_TEST, above(0)),
            _beside(m.FINAL_TEST, above(0), lr=0.5),
            level(m.FINAL_TEST, vgg("none", 0.5), below(_CHANCE), "VGG, lr 0.5"),
        ),
    ),
    Claim(
        "SF2",
        "Batch norm with noise behind it, which makes activations less stable, trains "
        "nearly as well as without the noise, and better than no norm.",
        _PAPER.format("Figure 2"),
        (
            difference(
                m.SPEED,
                vgg("batch_noisy", flags=_NOISY),
                vgg("batch", flags=_NOISY),
                within(_NEARLY),
                "VGG",
            ),
            difference(
                m.SPEED,
                vgg("batch_noisy", flags=_NOISY),
                vgg("none", flags=_NOISY),
                above(0),
                "VGG",
            ),
        ),
        remark=f"Nearly is within {_NEARLY:g} points.",
    ),
    Claim(
        "SF3",
        "Batch norm does not reduce internal covariate shift.",
        _PAPER.format("Figure 3"),
        (
            _beside(path.SHIFT_COSINE, below(_COSINE), flags=_NOISY),
            difference(
                path.SHIFT_COSINE,
                linear("batch"),
                linear("none"),
                below(_COSINE),
                "deep linear network",
            ),
        ),
        remark=f"It would if the cosine were higher by more than {_COSINE:g}.",
    ),
    Claim(
        "SF4",
        "With batch norm the loss along the gradient varies less, the gradient is more "
        "predictive, and the effective smoothness is better.",
        _PAPER.format("Figure 4"),
        (
            _beside(path.LOSS_RANGE, below(1)),
            _beside(path.PREDICTIVENESS, below(1)),
            _beside(path.SMOOTHNESS, below(1)),
        ),
        remark="Parts are (a), (b) and (c).",
    ),
    Claim(
        "SF4g",
        "With group norm, as with batch norm, the loss along the gradient varies less, "
        "the gradient is more predictive, and the effective smoothness is better.",
        _PAPER.format("Figure 4, carried over to group norm"),
        tuple(
            _beside(measure, below(1), norm="group")
            for measure in (path.LOSS_RANGE, path.PREDICTIVENESS, path.SMOOTHNESS)
        ),
        remark="Parts are (a), (b) and (c).",
    ),
    Claim(
        "SF10",
        "In a deep linear network, too, the loss along the gradient varies less with "
        "batch norm, the gradient is more predictive, and the effective smoothness is "
        "better.",
        _PAPER.format("Figure 10"),
        tuple(
            difference(measure, linear("batch"), linear("none"), below(1), _DLN)
            for measure in (
                path.LOSS_RANGE,
                path.PREDICTIVENESS,
                path.SMOOTHNESS_OF_ALL,
            )
        ),
        remark="Parts are (a), (b) and (c); trial steps as theirs, from a hundredth "
        "of a learning rate to thirty of them.",
    ),
    Claim(
        "SF5",
        "Normalizing by an lp norm improves training as batch norm does.",
        _PAPER.format("Figure 5"),
        (
            *(_lp_trains(p) for p in _P),
            *(
                difference(_LOSS, linear("batch_lp", p), linear("none"), below(1), _DLN)
                for p in _P
            ),
        ),
    ),
    Claim(
        "SF5l",
        "In deep linear networks normalizing by l1 does better than batch norm.",
        _PAPER.format("Figure 5 (b)"),
        (
            difference(
                _LOSS, linear("batch_lp", "1"), linear("batch"), below(_BETTER), _DLN
            ),
        ),
        remark="Better is a final loss that is a tenth lower, at least; the paper's is "
        "lower by four fifths.",
    ),
)

_THEOREMS = (
    Claim(
        "S4.1",
        "|dL/dy|² is at most what Theorem 4.1 prints, with 1/√m.",
        _PAPER.format("Theorem 4.1 as printed"),
        (level(path.PRINTED_FAILS, layers_of("batch"), at_most(0)),),
        remark="The report copies this form.",
    ),
    Claim(
        "S4.1c",
        "With 1/m in place of 1/√m the bound of Theorem 4.1 holds, and with a term in "
        "epsilon it is an equality.",
        _PAPER.format("Theorem 4.1 corrected; docs/theory.md, (8) and (10)"),
        (
            level(path.IDENTITY_ERROR, layers_of("batch"), below(EXACT)),
            level(path.BOUND_RATIO, layers_of("batch"), at_least(1 - EXACT)),
        ),
    ),
    Claim(
        "S4.1g",
        "The analogue of Theorem 4.1 as printed, with 1/√m, holds for group norm.",
        _PAPER.format("Theorem 4.1 as printed, carried over to group norm"),
        (level(path.PRINTED_FAILS, layers_of("group"), at_most(0)),),
        remark="The corrected one is F1.",
    ),
    Claim(
        "S4.2",
        "Batch norm changes the curvature along the gradient by a term that is known.",
        _PAPER.format("Theorem 4.2; docs/theory.md, (14)"),
        (level(path.CURVATURE_ERROR, layers_of("batch"), below(EXACT)),),
        remark="Whether the term lowers it is S4.2s.",
    ),
    Claim(
        "S4.2s",
        "The term by which batch norm changes the curvature along the gradient lowers "
        "it, the gradient being aligned with the activations.",
        _PAPER.format("Theorem 4.2, of which it says that the sign is not certain"),
        (level(path.ALIGNED, layers_of("batch"), above(0.5)),),
        remark="In most blocks.",
    ),
    Claim(
        "S4.4",
        "The worst gradient by the weights, over inputs of bounded norm, is at most "
        "what Theorem 4.4 prints.",
        _PAPER.format("Theorem 4.4 as printed"),
        (level(path.THEOREM_4_4_RATIO, layers_of("batch"), at_least(1 - EXACT)),),
        remark="For inputs of norm 1; its terms have different dimensions.",
    ),
    Claim(
        "S4.4c",
        "The worst gradient by the weights, over inputs of bounded norm, has a bound "
        "that batch norm lowers as it does that of Theorem 4.1.",
        _PAPER.format("Theorem 4.4 corrected; docs/theory.md, (17)"),
        (level(path.BOUND_RATIO, layers_of("batch"), at_least(1 - EXACT)),),
        remark="Both of its sides are λ² times those of S4.1c.2, which decides it.",
    ),
    Claim(
        "S4.5",
        "With batch norm there is an optimum nearer to the start, since the loss does "
        "not change with the scale of the weights.",
        _PAPER.format("Lemma 4.5; docs/theory.md, (18) and (24)"),
        (level(path.SCALING_RESIDUAL, layers_of("batch"), below(1e-2)),),
        remark="The distances are Pythagoras; what a network can break is the "
        "premise, by epsilon.",
    ),
)

CLAIMS = _FIGURES + _THEOREMS
