"""The script itself: load, train, evaluate, write."""

import csv
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from normlab.bench.torch_network import TorchNetwork, initialise, place
from normlab.bench.torch_script.settings import ScriptConfig
from normlab.data import Dataset

_TRAIN_EVALUATED = 10000  # number of training images in an evaluation
_EVALUATION_BATCH = 500
COLUMNS: tuple[str, ...] = (
    "lr",
    "epoch",
    "batch_loss",
    "train_loss",
    "train_accuracy",
    "test_loss",
    "test_accuracy",
)


class Split(NamedTuple):
    """Standardised images (N, C, H, W), channels last, and int64 labels (N)."""

    images: Tensor
    labels: Tensor


def load_splits(dataset: Dataset, device: torch.device) -> tuple[Split, Split]:
    """Training and test images on the device, standardised by the training images."""
    train_x = np.asarray(dataset.train_x, np.float32)
    mean = train_x.mean((0, 1, 2), dtype=np.float64).astype(np.float32)
    std = train_x.std((0, 1, 2), dtype=np.float64).astype(np.float32)

    def split(images_NHWC: np.ndarray, labels_N: np.ndarray) -> Split:
        images = torch.from_numpy((images_NHWC.astype(np.float32) - mean) / std)
        labels = torch.from_numpy(labels_N.astype(np.int64))
        # Channels last: the shape is NCHW, the memory layout NHWC.
        return Split(images.permute(0, 3, 1, 2).to(device), labels.to(device))

    return split(train_x, dataset.train_y), split(dataset.test_x, dataset.test_y)


@torch.no_grad()
def evaluate(network: TorchNetwork, split: Split) -> tuple[float, float]:
    """(mean cross-entropy in nats, accuracy), with running averages."""
    network.eval()
    loss = right = 0.0
    for x, y in zip(
        split.images.split(_EVALUATION_BATCH),
        split.labels.split(_EVALUATION_BATCH),
        strict=True,
    ):
        logits = network(x)
        loss += F.cross_entropy(logits, y, reduction="sum").item()
        right += (logits.argmax(1) == y).sum().item()
    network.train()
    return loss / len(split.labels), right / len(split.labels)


def train_one(
    network: TorchNetwork, train: Split, test: Split, config: ScriptConfig, lr: float
) -> tuple[list[dict[str, float]], dict]:
    """Returns (rows of `COLUMNS`, one per epoch; a checkpoint)."""
    optimizer = torch.optim.Adam(network.parameters(), lr=lr)
    seen = Split(train.images[:_TRAIN_EVALUATED], train.labels[:_TRAIN_EVALUATED])
    rows = []
    for epoch in range(1, config.epochs + 1):
        order = torch.randperm(len(train.labels), device=train.labels.device)
        losses = []
        for picked_B in order.split(config.batch_size):
            optimizer.zero_grad()
            logits = network(train.images[picked_B])
            loss = F.cross_entropy(logits, train.labels[picked_B])
            loss.backward()
            optimizer.step()
            losses.append(loss.detach())
        batch_loss = torch.stack(losses).mean().item()
        measured = (*evaluate(network, seen), *evaluate(network, test))
        values = (lr, epoch, batch_loss, *measured)
        rows.append(dict(zip(COLUMNS, values, strict=True)))
    checkpoint = {
        "network": network.state_dict(),
        "optimizer": optimizer.state_dict(),
        "epoch": config.epochs,
        "lr": lr,
    }
    return rows, checkpoint


def train_all(config: ScriptConfig, dataset: Dataset, out: Path) -> None:
    """Trains all learning rates from the same parameters, with the same batch order."""
    name = config.device
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    device = torch.device(name)
    torch.backends.cudnn.benchmark = True  # cuDNN's best algorithm, measured
    torch.backends.cudnn.allow_tf32 = False  # float32, as the sweep beside it
    out.mkdir(parents=True, exist_ok=True)
    train, test = load_splits(dataset, device)
    with open(out / "metrics.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        for lr in config.lr:
            torch.manual_seed(config.seed)
            network = TorchNetwork(
                config.norm, dataset.image_shape, len(dataset.classes)
            )
            initialise(network)
            place(network, device, channels_last=True)
            rows, checkpoint = train_one(network, train, test, config, lr)
            writer.writerows(rows)
            torch.save(checkpoint, out / f"lr_{lr:g}.pt")
            last = rows[-1]
            print(f"lr {lr:g}: test accuracy {last['test_accuracy']:.3f}", flush=True)
