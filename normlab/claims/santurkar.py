"""What Santurkar et al. 2018 (arXiv 1805.11604v3) say, by figure and by theorem."""

from typing import Any

from normlab.claims import along_path as path
from normlab.claims import measures as m
from normlab.claims.claim import Claim, Measure, Part, Side, difference, level
from normlab.claims.rules import Rule, above, at_least, at_most, below, within
from normlab.claims.settings import AFFINE, NONE, side

# Above the rounding of float32 sums over a layer, and below any effect of note.
EXACT = 1e-3
_PAPER = "Santurkar et al. 2018, {}"
# Nearly as fast: within two points of training accuracy.
_NEARLY = 2.0
_COSINE = 0.05
_VGG: dict[str, Any] = {
    "dataset": "cifar10",
    "train_size": 50000,
    "model": ("vgg11", "vgg16"),
    "optimizer": "sgd",
}
_LINEAR: dict[str, Any] = {"dataset": "gaussian_uniform", "model": "deep_linear"}


def vgg(norm: str, lr: float = 0.1, flags: str = "santurkar_vgg_cpu") -> Side:
    """A VGG trained by plain SGD."""
    own = NONE if norm == "none" else {"norm": norm, **AFFINE}
    name = norm.replace("_", ", ")
    return side(name, flags, _VGG, own, lr=lr, weight_decay=0.0)


def linear(norm: str, p: str | None = None) -> Side:
    """A deep linear network."""
    own: dict[str, Any] = {"norm": norm} | ({} if p is None else {"norm_p": p})
    name = norm if p is None else f"l{p}"
    return side(name, "santurkar_dln", _LINEAR, own, evaluated="batch")


def layers_of(norm: str) -> Side:
    """Networks whose norm layers were looked at (`normlab.quantities.identities`)."""
    return side(norm, "smoothness_digits", {"norm": norm})


def _digits(norm: str) -> Side:
    return side(norm, "smoothness_digits", {"dataset": "digits", "norm": norm})


def _beside(measure: Measure, rule: Rule, lr: float = 0.1, **more: Any) -> Part:
    sides = vgg("batch", lr, **more), vgg("none", lr, **more)
    return difference(measure, *sides, rule, f"VGG, lr {lr:g}")


_NOISY = "santurkar_noisy_cpu"

_FIGURES = (
    Claim(
        "SF1",
        "With batch norm a network trains faster, ends better, and trains at a "
        "learning rate at which it does not train without.",
        _PAPER.format("Figure 1"),
        (
            _beside(m.SPEED, above(0)),
            _beside(m.FINAL_TEST, above(0)),
            _beside(m.FINAL_TEST, above(0), lr=0.5, flags="santurkar_vgg"),
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
                _digits("batch"),
                _digits("none"),
                below(_COSINE),
                "the small network on digits",
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
        "SF5",
        "Normalizing by an lp norm improves training as batch norm does; in deep "
        "linear networks l1 does better than batch norm.",
        _PAPER.format("Figure 5"),
        (
            *(
                difference(
                    m.at_end("train_loss", ratio=True),
                    linear("batch_lp", p),
                    linear("none"),
                    below(1),
                    "deep linear network",
                )
                for p in ("1", "2", "inf")
            ),
            difference(
                m.at_end("train_loss", ratio=True),
                linear("batch_lp", "1"),
                linear("batch"),
                below(1),
                "deep linear network",
            ),
        ),
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
        "Batch norm lowers the curvature along the gradient by a term that is known.",
        _PAPER.format("Theorem 4.2; docs/theory.md, (14)"),
        (
            level(path.CURVATURE_ERROR, layers_of("batch"), below(EXACT)),
            level(path.ALIGNED, layers_of("batch"), above(0.5)),
        ),
        remark="The first part is the identity, the second whether it lowers, for "
        "which the gradient must be aligned with the activations.",
    ),
    Claim(
        "S4.4",
        "The worst gradient by the weights, over inputs of bounded norm, has a bound "
        "that batch norm lowers as it does that of Theorem 4.1.",
        _PAPER.format("Theorem 4.4 corrected; docs/theory.md, (17)"),
        (level(path.BOUND_RATIO, layers_of("batch"), at_least(1 - EXACT)),),
        remark="Both of its sides are λ² times those of the corrected Theorem 4.1; "
        "as printed its terms have different dimensions.",
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
