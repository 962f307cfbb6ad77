"""The names of the metrics of every member, in the order of their columns."""

from normlab.settings.recording import STATISTICS

# Measured at every update, on its batch. ``lr_step`` is the learning rate of that very
# update; ``lr`` is the member's, from which a schedule starts.
STEP_METRICS = ("batch_loss", "batch_accuracy", "gradient_norm", "lr_step")
# Only with ``--validation``.
VALIDATION = ("validation_loss", "validation_accuracy")
EVALUATIONS = (
    "train_loss",
    "train_accuracy",
    "test_loss",
    "test_accuracy",
    *VALIDATION,
)
# Each evaluation metric under each kind of statistics, if a cell has several kinds.
BY_STATISTICS = tuple(f"{name}_{by}" for by in STATISTICS for name in EVALUATIONS)
METRICS = (*STEP_METRICS, *EVALUATIONS, *BY_STATISTICS)


def loss_of(accuracy: str) -> str:
    """The loss over the same images: ``test_loss_batch`` of ``test_accuracy_batch``."""
    return accuracy.replace("_accuracy", "_loss")
