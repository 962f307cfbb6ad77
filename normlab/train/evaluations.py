"""A member's evaluation: both splits, with each of the requested statistics."""

from collections.abc import Callable, Sequence

import jax

from normlab.norms import NORMS
from normlab.train.evaluate import make_evaluate
from normlab.train.network import Network
from normlab.train.precise import make_precise_statistics
from normlab.train.state import TrainState


def make_evaluations(
    network: Network,
    eval_statistics: Sequence[str],
    batch_size: int,
    validation: int,
    by_example: Callable[[str], bool],
) -> Callable[..., dict[str, jax.Array]]:
    """``evaluations(state, indices_E, data) -> metrics``, of one member.

    ``train_loss`` and ``train_accuracy`` are over the training images of these indices,
    ``test_loss`` and ``test_accuracy`` over all test images. The last ``validation`` of
    the indices are held out: ``validation_loss`` and ``validation_accuracy`` are over
    them, and precise statistics leave them out. They use the first of
    ``eval_statistics``. If there are several, each also gives its own metrics, with
    ``_<statistics>`` appended. A regression has no accuracies.

    Args:
      eval_statistics: some of running, batch and precise. Norms without running
        averages are evaluated in one way only.
      batch_size: images at a time.
      validation: the number of images that are held out.
      by_example: statistics -> `make_evaluate`'s argument of this name.
    """
    noise = network.norm.options.noise_eval
    running = NORMS[network.norm.kind].running

    def evaluate_by(statistics: str) -> Callable:
        return make_evaluate(
            network.model,
            network.scale,
            batch_size=batch_size,
            statistics=statistics,
            task=network.task,
            noise=noise,
            by_example=by_example(statistics),
        )

    # Precise statistics take the place of running averages.
    evaluates = {
        name: evaluate_by("batch" if name == "batch" else "running")
        for name in eval_statistics
    }
    precise = make_precise_statistics(
        network.without_memory(), network.scale, batch_size=batch_size, noise=noise
    )

    def evaluations(state: TrainState, seen_E: jax.Array, data: dict) -> dict:
        all_metrics, out = {}, {}
        held_V = None
        if validation:
            seen_E, held_V = seen_E[:-validation], seen_E[-validation:]
            out = {"validation": (data["train_x"][held_V], data["train_y"][held_V])}
        splits = {
            "train": (data["train_x"][seen_E], data["train_y"][seen_E]),
            "test": (data["test_x"], data["test_y"]),
            **out,
        }
        for statistics, evaluate in evaluates.items():
            stats = state.batch_stats
            if statistics == "precise" and running:
                stats = precise(state.params, stats, data["train_x"], held_V)
            for split, (images, targets) in splits.items():
                loss, accuracy = evaluate(state.params, stats, images, targets)
                all_metrics[f"{split}_loss_{statistics}"] = loss
                if accuracy is not None:
                    all_metrics[f"{split}_accuracy_{statistics}"] = accuracy
        first = f"_{eval_statistics[0]}"
        main = {
            k.removesuffix(first): v
            for k, v in all_metrics.items()
            if k.endswith(first)
        }
        return main | (all_metrics if len(eval_statistics) > 1 else {})

    return evaluations
