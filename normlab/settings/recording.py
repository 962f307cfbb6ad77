"""How long is trained, and what is evaluated, measured and stored on the way."""

from dataclasses import dataclass

from normlab.settings.declare import flag

# Steps are 32-bit numbers in the store, and an epoch has less than 1e4 of them.
LONGEST = 100_000_000
# What batch norm can be evaluated with.
STATISTICS = ("running", "batch", "precise")


@dataclass(frozen=True, kw_only=True)
class RecordingSettings:
    """What a sweep says once for all of its cells."""

    steps: int = flag(
        0,
        "Length of training in steps; or give --epochs.",
        low=0,
        high=LONGEST,
    )
    eval_every: int = flag(
        0,
        "Evaluate every this many steps; 0 is by --eval_epochs. Ends always count.",
        low=0,
    )
    path_every: int = flag(
        0,
        "Store parameters and statistics every this many steps; 0 is never.",
        low=0,
    )
    path_next: bool = flag(
        False,
        "Store the point one step after each, too: what differences along the path "
        "are measured from.",
    )
    quantities: tuple[str, ...] = flag(
        (),
        "Quantities to measure while training.",
        choices="quantities",
        stored_as="probes",
    )
    probe_every: int = flag(
        0,
        "Measure them every this many steps; 0 is whenever --eval_every is due.",
        low=0,
    )
    train_eval_size: int = flag(
        10000,
        "How many training images train_loss and train_accuracy are over.",
        low=1,
    )
    train_eval: str = flag(
        "fixed",
        "Which training images those are: fixed, the first of the training set; or "
        "current, the first of the epoch's order, as the report took them.",
        choices=("fixed", "current"),
        before="fixed",
    )
    eval_batch_size: int = flag(
        500,
        "Images an evaluation batch; with --eval_statistics=batch its statistics are "
        "over these.",
        low=1,
    )
    eval_statistics: tuple[str, ...] = flag(
        ("running",),
        "Statistics batch norm is evaluated with: running averages, those of the "
        "evaluation batch, or precise ones recomputed over the training set. Of "
        "several the first gives test_accuracy, and each its own "
        "test_accuracy_<name>.",
        choices=STATISTICS,
        stored_as="bn_eval",
    )
