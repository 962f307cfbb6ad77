"""What a flagfile says: frozen dataclasses and their checks.

A field's ``help`` is the text of its flag (`normlab.flags` makes one flag a field).
What depends on a registry (is there such a norm?) is checked where the registry is.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

from normlab.checks import (
    check_axes,
    check_numbers,
    unknown,
)
from normlab.settings import ProbeSettings, flag

STANDARDIZE = ("channel", "feature", "none")
AUGMENT = ("none", "flip", "crop", "flip_crop")
STATISTICS = ("running", "batch", "precise")
LP = ("1", "2", "inf")
NOISE_PLACES = ("before", "after")
NOISE_SPREADS = ("std", "variance")
NORM_INITS = ("standard", "report")
BATCH_ORDERS = ("shuffled", "report")
TRAIN_EVALS = ("fixed", "current")
PRECISIONS = ("float32", "tf32", "bfloat16")


@dataclass(frozen=True)
class SweepConfig(ProbeSettings):
    """Everything one flagfile asks for; two equal configs give equal numbers.

    Tuples are axes. Fields in `STATIC_AXES` choose the compiled program, one
    cell a combination; ``lr``, ``momentum``, ``weight_decay``, ``grouping`` and the
    seeds are the members of every cell.
    """

    # What flags that came later are in a run stored before.
    LATER: ClassVar[dict[str, Any]] = {
        "grouping": ["sequential"],
        "regroup_at": [0],
        "regroup_every": [0],
        "norm_init": ["standard"],
        "zero_last_scale": [False],
        "norm_dense": [False],
        "batch_order": ["shuffled"],
        "train_eval": "fixed",
        "eval_epochs": 1.0,
    }

    dataset: tuple[str, ...] = flag(("digits",), "Datasets (static axis).")
    train_size: tuple[int, ...] = flag(
        (0,), "Train on the first this many images; 0 is all (static axis)."
    )
    standardize: tuple[str, ...] = flag(
        ("channel",),
        "Standardise inputs by training-set statistics per channel, per feature, "
        "or none, which divides images by 255 (static axis).",
    )
    augment: tuple[str, ...] = flag(
        ("none",), f"Augmentation: {', '.join(AUGMENT)} (static axis)."
    )
    model: tuple[str, ...] = flag(
        ("small_cnn",),
        "Models: small_cnn, vgg11, vgg16, resnet20, resnet56, deep_linear (static "
        "axis).",
    )
    width: tuple[float, ...] = flag(
        (1.0,), "Multiplies the channels of a model's layers (static axis)."
    )
    init: tuple[str, ...] = flag(
        ("standard",), "Initialisers: standard, report, glorot (static axis)."
    )
    norm: tuple[str, ...] = flag(
        ("none", "batch", "group"),
        "Normalization: none, batch, group, group_correlated, layer, instance, "
        "batch_noisy, batch_lp (static axis).",
    )
    groups: tuple[int, ...] = flag(
        (4,),
        "Group counts, of --norm=group and --norm=group_correlated (static axis).",
    )
    regroup_at: tuple[int, ...] = flag(
        (0,),
        "--norm=group_correlated: the step at which --grouping first groups channels, "
        "by the batch of that step; before it groups are sequential (static axis).",
    )
    regroup_every: tuple[int, ...] = flag(
        (0,),
        "--norm=group_correlated: group them again every this many steps; 0 is never "
        "(static axis).",
    )
    epsilon: tuple[float, ...] = flag(
        (1e-5,), "Added to the variance, the same for every norm (static axis)."
    )
    norm_momentum: tuple[float, ...] = flag(
        (0.99,), "Decay of batch norm's running averages (static axis)."
    )
    norm_scale: tuple[bool, ...] = flag(
        (True,), "Whether norms learn a scale (static axis)."
    )
    norm_bias: tuple[bool, ...] = flag(
        (True,), "Whether norms learn a bias (static axis)."
    )
    norm_init: tuple[str, ...] = flag(
        ("standard",),
        "How scale and bias of norms start: standard, 1 and 0, or report, both at one "
        "draw from a truncated normal (static axis).",
    )
    zero_last_scale: tuple[bool, ...] = flag(
        (False,),
        "Whether the scale of a residual block's last norm starts at 0; it applies to "
        "resnet20 and resnet56 alone (static axis).",
    )
    norm_dense: tuple[bool, ...] = flag(
        (False,),
        "Whether a norm stands behind the hidden dense layer, too; it applies to "
        "small_cnn alone (static axis).",
    )
    norm_p: tuple[str, ...] = flag(
        ("2",),
        f"p of the lp norm that --norm=batch_lp divides by: {', '.join(LP)} (static "
        "axis).",
    )
    noise_mean: tuple[float, ...] = flag(
        (0.5,),
        "--norm=batch_noisy: a channel's shift at a step is uniform within this of 0 "
        "(static axis).",
    )
    noise_scale: tuple[float, ...] = flag(
        (1.25,),
        "--norm=batch_noisy: a channel's factor at a step is uniform in 1 to this "
        "(static axis).",
    )
    noise_mean_spread: tuple[float, ...] = flag(
        (0.1,),
        "--norm=batch_noisy: an element's shift is uniform within this of its "
        "channel's (static axis).",
    )
    noise_scale_spread: tuple[float, ...] = flag(
        (0.1,),
        "--norm=batch_noisy: spread of an element's normal factor around its "
        "channel's (static axis).",
    )
    noise_spread: tuple[str, ...] = flag(
        ("std",),
        "--norm=batch_noisy: what --noise_scale_spread is: "
        f"{' or '.join(NOISE_SPREADS)} (static axis).",
    )
    noise_place: tuple[str, ...] = flag(
        ("after",),
        "--norm=batch_noisy: noise before or after the norm's scale and bias (static "
        "axis).",
    )
    noise_eval: tuple[bool, ...] = flag(
        (False,), "--norm=batch_noisy: noise in evaluation, too (static axis)."
    )
    optimizer: tuple[str, ...] = flag(
        ("adam",), "Optimizers: adam, adamw, sgd, momentum (static axis)."
    )
    batch_size: tuple[int, ...] = flag((50,), "Batch sizes (static axis).")
    batch_order: tuple[str, ...] = flag(
        ("shuffled",),
        "Order of the images: shuffled for every epoch, or report, whose first epoch "
        "is in the order of the file (static axis).",
    )
    precision: tuple[str, ...] = flag(
        ("float32",),
        "What products are computed in: float32, tf32 (a GPU rounds their inputs to "
        "10 bits; elsewhere as float32), or bfloat16 (activations too; parameters, "
        "norms, loss and optimizer stay float32) (static axis).",
    )
    lr: tuple[float, ...] = flag((1e-3,), "Learning rates (members).")
    momentum: tuple[float, ...] = flag(
        (0.9,), "Momentum; it applies to --optimizer=momentum alone (members)."
    )
    weight_decay: tuple[float, ...] = flag(
        (0.0,),
        "Weight decay on every parameter: added to the gradient (L2), or decoupled "
        "for --optimizer=adamw (members).",
    )
    grouping: tuple[str, ...] = flag(
        ("sequential",),
        "Which channels share a group: sequential, random, correlated, "
        "anti_correlated, moments; of --norm=group_correlated alone (members).",
    )
    seed: int = flag(0, "The first seed.")
    num_seeds: int = flag(3, "How many seeds, counted from --seed (members).")
    epochs: float = flag(0.0, "Length of training in epochs; or give --steps.")
    steps: int = flag(0, "Length of training in steps; or give --epochs.")
    eval_every: int = flag(
        0, "Evaluate every this many steps; 0 is by --eval_epochs. Ends always count."
    )
    eval_epochs: float = flag(1.0, "Evaluate every this many epochs.")
    path_every: int = flag(
        0, "Store parameters and statistics every this many steps; 0 is never."
    )
    path_next: bool = flag(
        False,
        "Store the point one step after each, too: what differences along the path "
        "are measured from.",
    )
    probes: tuple[str, ...] = flag(
        (), "Quantities to measure while training (normlab.quantities)."
    )
    probe_every: int = flag(
        0, "Measure them every this many steps; 0 is whenever --eval_every is due."
    )
    train_eval_size: int = flag(
        10000, "How many training images train_loss and train_accuracy are over."
    )
    train_eval: str = flag(
        "fixed",
        "Which training images those are: fixed, the first of the training set, or "
        "current, the first of the epoch's order, as the report took them.",
    )
    eval_batch_size: int = flag(
        500,
        "Images an evaluation batch; with --bn_eval=batch its statistics are over "
        "these.",
    )
    bn_eval: tuple[str, ...] = flag(
        ("running",),
        "Statistics batch norm is evaluated with: running averages, those of the "
        "evaluation batch, or precise ones recomputed over the training set. Of "
        "several the first gives test_accuracy, and each its own "
        "test_accuracy_<name>.",
    )

    def __post_init__(self) -> None:
        check_axes(self)
        check_numbers(self)
        _check_names(self)


STATIC_AXES = (
    "dataset",
    "train_size",
    "standardize",
    "augment",
    "model",
    "width",
    "init",
    "norm",
    "groups",
    "regroup_at",
    "regroup_every",
    "epsilon",
    "norm_momentum",
    "norm_scale",
    "norm_bias",
    "norm_init",
    "zero_last_scale",
    "norm_dense",
    "norm_p",
    "noise_mean",
    "noise_scale",
    "noise_mean_spread",
    "noise_scale_spread",
    "noise_spread",
    "noise_place",
    "noise_eval",
    "optimizer",
    "batch_size",
    "batch_order",
    "precision",
)


def _check_names(config: SweepConfig) -> None:
    for name, known in (
        ("standardize", STANDARDIZE),
        ("augment", AUGMENT),
        ("precision", PRECISIONS),
        ("norm_init", NORM_INITS),
        ("batch_order", BATCH_ORDERS),
        ("norm_p", LP),
        ("noise_spread", NOISE_SPREADS),
        ("noise_place", NOISE_PLACES),
        ("bn_eval", STATISTICS),
    ):
        for value in getattr(config, name):
            if value not in known:
                raise unknown(name, value, known)
    if config.train_eval not in TRAIN_EVALS:
        raise unknown("train_eval", config.train_eval, TRAIN_EVALS)
