"""How long to train, and what to evaluate, measure and store on the way."""

from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar

from normlab.errors import UserError
from normlab.settings.declare import flag

# Steps are 32-bit numbers in the store, and an epoch has less than 1e4 of them.
LONGEST = 100_000_000
# The statistics that batch norm can be evaluated with.
STATISTICS = ("running", "batch", "precise")


@dataclass(frozen=True, kw_only=True)
class RecordingSettings:
    """How long to train, and what to evaluate, measure and store on the way.

    These settings are the same in all cells of a sweep.
    """

    GROUP: ClassVar[str] = "recording"

    steps: int = flag(
        0,
        "Length of training in steps (or give --epochs).",
        low=0,
        high=LONGEST,
    )
    eval_every: int = flag(
        0,
        "Evaluate every this many steps, instead of --eval_epochs. The first and the "
        "last step are always evaluated.",
        low=0,
    )
    path_every: int = flag(
        0,
        "Store parameters and statistics every this many steps (0: never).",
        low=0,
    )
    path_next: bool = flag(
        False,
        "Also store the next step of each: for quantities that compare steps.",
    )
    quantities: tuple[str, ...] = flag(
        (),
        "Quantities to measure during training.",
        choices="quantities",
        stored_as="probes",
    )
    probe_every: int = flag(
        0,
        "Measure quantities every this many steps (0: at every evaluation).",
        low=0,
    )
    train_eval_size: int = flag(
        10000,
        "Training images for train_loss and train_accuracy.",
        low=1,
    )
    train_eval: str = flag(
        "fixed",
        "Which training images these are: fixed (the first of the training set), or "
        "current (the first in the epoch's order, as in the report).",
        choices=("fixed", "current"),
        before="fixed",
    )
    eval_batch_size: int = flag(
        500,
        "Images in an evaluation batch. --eval_statistics=batch takes its statistics "
        "from such a batch. Where batches change no result, a CPU takes smaller ones.",
        low=1,
    )
    eval_statistics: tuple[str, ...] = flag(
        ("running",),
        "Statistics for evaluating batch norm: running averages, those of the "
        "evaluation batch, or precise ones over the training set. Of several, "
        "test_accuracy has the first; each has its test_accuracy_<name>.",
        choices=STATISTICS,
        stored_as="bn_eval",
    )
    stop_diverged: bool = flag(
        False,
        "Stop training a member whose parameters are NaN. What is stored is the same.",
        before=False,
    )
    keep_best: str = flag(
        "",
        "Successive halving, given as k/n: at each step of --keep_best_at, train on "
        "only the best k of n points (learning rate, momentum, ...) of a cell, with "
        "all their seeds. The median validation loss ranks them, or the training "
        "loss if no images are held out.",
        before="",
    )
    keep_best_at: str = flag(
        "",
        "The steps at which --keep_best selects, in rising order: 100,200,400.",
        before="",
    )

    @property
    def kept_share(self) -> Fraction:
        """``keep_best`` as a fraction; 1 if it is empty.

        Raises:
          UserError: it does not have the form k/n, with 0 < k < n.
        """
        if not self.keep_best:
            return Fraction(1)
        words = self.keep_best.split("/")
        if len(words) == 2 and all(w.isascii() and w.isdigit() for w in words):
            kept, of = map(int, words)
            if 0 < kept < of:
                return Fraction(kept, of)
        raise UserError(f"--keep_best={self.keep_best}: give k/n, with 0 < k < n")

    @property
    def rungs(self) -> tuple[int, ...]:
        """``keep_best_at`` as numbers, in rising order.

        Raises:
          UserError: it is not a list of rising steps from 1 on.
        """
        words = self.keep_best_at.split(",") if self.keep_best_at else []
        good = all(w.isascii() and w.isdigit() and len(w) < 10 for w in words)
        steps = tuple(map(int, words)) if good else (0,)
        if list(steps) != sorted(set(steps)) or 0 in steps:
            raise UserError(
                f"--keep_best_at={self.keep_best_at}: give rising steps from 1 on: "
                "100,200"
            )
        return steps
