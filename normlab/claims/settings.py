"""The sides that several families of claims compare, and their settings."""

from typing import Any

from normlab.claims.claim import BEST, Side
from normlab.settings import PLAIN

FOLDER = "experiments"
SMALL: dict[str, Any] = {
    "dataset": "cifar10",
    "train_size": 50000,
    "model": "small_cnn",
    "width": 1.0,
    "optimizer": "adam",
}
# The settings of the report, and those that it should have used.
REPORT: dict[str, Any] = {
    **SMALL,
    "init": "report",
    "batch_order": "report",
    "epochs": 20.0,
}
PROPER: dict[str, Any] = {**SMALL, "init": "standard", "batch_order": "shuffled"}
# On a CPU, batches of two take too long on all 50000 images (`normlab.claims.scale`).
_BATCH_SIZES = {k: v for k, v in PROPER.items() if k != "train_size"}
# Norms as defined in their papers, all with the same epsilon.
AFFINE: dict[str, Any] = {
    "norm_scale": True,
    "norm_bias": True,
    "norm_init": "standard",
    "epsilon": 1e-5,
}
_VGG: dict[str, Any] = {
    "dataset": "cifar10",
    "train_size": 50000,
    "model": ("vgg11", "vgg16"),
    "optimizer": "sgd",
}
_RATES = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2)
# Larger than float32 rounding in sums over a layer, smaller than any relevant effect.
EXACT = 1e-3


def flagfile(name: str) -> str:
    """``experiments/<name>.flags``."""
    return f"{FOLDER}/{name}.flags"


def side(
    name: str,
    flags: str,
    *settings: dict[str, Any],
    statistics: str = "running",
    across: tuple[str, Any] | None = None,
    **more: Any,
) -> Side:
    """A `Side` of ``<flags>.flags``; later settings override earlier ones.

    Its members train without schedules, clipping and the like (`PLAIN`), as all runs
    did when the claims were written.
    """
    groups = (PLAIN, *settings, more)
    where = {k: v for group in groups for k, v in group.items()}
    return Side(name, flagfile(flags), where, statistics, across)


def group(groups: int, **more: Any) -> dict[str, Any]:
    """Settings of group norm."""
    return {"norm": "group", "groups": groups, **AFFINE, **more}


BATCH: dict[str, Any] = {"norm": "batch", **AFFINE}
NONE: dict[str, Any] = {"norm": "none"}


def sized(
    norm: str,
    batch_size: int,
    lr: float | tuple[float, ...] = 1e-3,
    across: tuple[str, Any] | None = None,
) -> Side:
    """A norm of ``postmortem_batch_size.flags``; group norm has 4 groups."""
    norm_settings = {"none": NONE, "batch": BATCH, "group": group(4)}[norm]
    place: dict[str, Any] = {"batch_size": batch_size, "lr": lr}
    name, flags = f"{norm} at batch size {batch_size}", "postmortem_batch_size"
    return side(name, flags, _BATCH_SIZES, norm_settings, place, across=across)


def report_bn(norm: str, batch_size: int = 50, lr: float = 1e-3) -> Side:
    """``none`` or ``batch`` in the report's experiments E1 to E4.

    Batch norm is also applied after the hidden dense layer, as its curves show (B10).
    """
    norm_settings: dict[str, Any] = {"norm": norm}
    if norm == "batch":
        norm_settings |= {"norm_scale": False, "epsilon": 1e-3, "norm_dense": True}
    flags = "report_bn" if lr == 1e-3 else "report_bn_lr"
    place = {"batch_size": batch_size, "lr": lr}
    name = "batch after all three layers" if norm == "batch" else norm
    return side(name, flags, REPORT, norm_settings, place, statistics="batch")


def report_gn(groups: int | None) -> Side:
    """Group norm in the report's experiments E5 to E7, or no norm if None."""
    norm_settings = NONE if groups is None else group(groups, norm_init="report")
    name = "none" if groups is None else f"group (G={groups})"
    place = {"batch_size": 50, "lr": 1e-3}
    return side(name, "report_gn", REPORT, norm_settings, place, statistics="batch")


def proper_bn(norm: str, batch_size: int = 50, lr: float = 1e-3, **more: Any) -> Side:
    """``none`` or ``batch`` after the convolutions, as it should have been run.

    Evaluation uses precise statistics. Running averages lag behind the weights, which
    would make evaluations of batch norm noisier than those without a norm (B2).
    """
    norm_settings = BATCH if norm == "batch" else NONE
    flags = "proper_bn" if lr == 1e-3 else "proper_bn_lr"
    settings: dict[str, Any] = {"batch_size": batch_size, "lr": lr}
    settings["statistics"] = "precise"
    name = "batch after the convolutions" if norm == "batch" else norm
    return side(name, flags, PROPER, norm_settings, **(settings | more))


def proper_gn(groups: int | None) -> Side:
    """Group norm as it should have been run, or no norm if None."""
    norm_settings = NONE if groups is None else group(groups)
    name = "none" if groups is None else f"group (G={groups})"
    return side(
        name, "proper_gn", PROPER, norm_settings, {"batch_size": 50, "lr": 1e-3}
    )


def at_rate(norm: str, lr: float | None) -> Side:
    """A norm of ``postmortem_lr.flags`` at a learning rate, or at the best if None."""
    norm_settings = {"none": NONE, "batch": BATCH, "group": group(4)}[norm]
    sizes: dict[str, Any] = {"batch_size": 50}
    if lr is None:
        sizes["lr"] = _RATES
        name = f"{norm} at its best lr"
        return side(
            name, "postmortem_lr", PROPER, norm_settings, sizes, across=("lr", BEST)
        )
    return side(
        f"{norm} at lr {lr:g}", "postmortem_lr", PROPER, norm_settings, sizes, lr=lr
    )


def vgg(
    norm: str, lr: float = 0.1, flags: str = "santurkar_vgg_cpu", **more: Any
) -> Side:
    """A VGG trained by plain SGD."""
    norm_settings = NONE if norm == "none" else {"norm": norm, **AFFINE}
    name = norm.replace("_", ", ")
    return side(name, flags, _VGG, norm_settings, lr=lr, weight_decay=0.0, **more)


def layers_of(norm: str) -> Side:
    """Networks with measurements of their norm layers (the quantity ``identities``)."""
    return side(norm, "smoothness_digits", {"norm": norm})
