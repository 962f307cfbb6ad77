"""What to train, on which data, and how."""

from dataclasses import dataclass
from typing import ClassVar

from normlab.settings.declare import flag

STANDARDIZE = ("channel", "feature", "none")
AUGMENT = ("none", "flip", "crop", "flip_crop")
_WIDEST = 10_000


@dataclass(frozen=True, kw_only=True)
class NetworkSettings:
    """The data and the network."""

    GROUP: ClassVar[str] = "network"

    dataset: str = flag(
        "digits",
        "Datasets; also npz:FILE and tfds:NAME.",
        axis="static",
        choices="dataset",
        phrase="on {}",
    )
    train_size: int = flag(
        0,
        "Train on the first this many images (0: all).",
        axis="static",
        low=0,
        phrase="with {} images",
        said={"0": "with all images", "1": "with 1 image"},
    )
    validation: int = flag(
        0,
        "Hold out this many of the training images, others for each seed: they are not "
        "trained on, and validation_loss and validation_accuracy are over them. Inputs "
        "are standardised with them, and landscapes do not leave them out.",
        axis="static",
        low=0,
        before=0,
        phrase="with {} images held out",
        said={"0": "without images held out", "1": "with 1 image held out"},
    )
    standardize: str = flag(
        "channel",
        "Standardise inputs with training-set statistics, per channel or per feature. "
        "none divides images by 255.",
        axis="static",
        choices=STANDARDIZE,
        phrase="with inputs standardized per {}",
        said={"none": "with inputs that are not standardized"},
    )
    augment: str = flag(
        "none",
        "Augmentation.",
        axis="static",
        choices=AUGMENT,
        phrase="with {} as augmentation",
        said={
            "none": "without augmentation",
            "flip_crop": "with flip and crop as augmentation",
        },
    )
    model: str = flag(
        "small_cnn", "Models.", axis="static", choices="model", phrase="in {}"
    )
    width: float = flag(
        1.0,
        "Factor for the number of channels in a model's layers.",
        axis="static",
        above=0,
        high=_WIDEST,
    )
    init: str = flag(
        "standard",
        "Initialisers.",
        axis="static",
        choices="init",
        phrase="with {} initialization of weights",
    )
    norm: str = flag(
        "none",
        "Normalization.",
        axis="static",
        values=("none", "batch", "group"),
        choices="norm",
        in_label=True,
        said={"none": "without a norm"},
    )


@dataclass(frozen=True, kw_only=True)
class TrainingSettings:
    """The optimizer and its batches."""

    GROUP: ClassVar[str] = "training"

    optimizer: str = flag(
        "adam",
        "Optimizers.",
        axis="static",
        choices="optimizer",
        phrase="with the optimizer {}",
    )
    batch_size: int = flag(50, "Batch sizes.", axis="static", low=1)
    batch_order: str = flag(
        "shuffled",
        "Order of the images: shuffled (anew in every epoch), or report (the first "
        "epoch in the order of the file).",
        axis="static",
        choices=("shuffled", "report"),
        before="shuffled",
    )
    precision: str = flag(
        "float32",
        "Precision of products: float32, tf32 (a GPU rounds the inputs to 10 bits; "
        "elsewhere float32), or bfloat16 (activations, too; parameters, norms, loss "
        "and optimizer stay float32).",
        axis="static",
        choices=("float32", "tf32", "bfloat16"),
    )
    schedule: str = flag(
        "constant",
        "How the learning rate goes on after --warmup, until the last step: constant, "
        "or down to --decay_to.",
        axis="static",
        choices="schedule",
        before="constant",
        recipe=True,
        phrase="with a {} schedule",
    )
    label_smoothing: float = flag(
        0.0,
        "Share of each label that is spread over all classes. Only the training loss "
        "has it, and with it batch_loss and the quantities; train_loss and test_loss "
        "do not.",
        axis="static",
        low=0,
        below=1,
        float32=True,
        before=0.0,
        recipe=True,
        said={"0": "without label smoothing"},
    )
    decay_mask: str = flag(
        "all",
        "Parameters that weight decay acts on: all, or kernels (two axes or more, so "
        "no biases and no parameters of norms).",
        axis="static",
        choices=("all", "kernels"),
        before="all",
        recipe=True,
        phrase="with weight decay on {}",
        said={"all": "with weight decay on all parameters"},
    )
    accumulate: int = flag(
        1,
        "Compute the gradient of a batch in this many parts of equal size. Batch norm "
        "then normalizes with the statistics of each part, and its running averages "
        "move once for each part.",
        axis="static",
        low=1,
        before=1,
        recipe=True,
        phrase="with gradients of {} parts",
        said={"1": "with gradients of whole batches"},
    )
