"""Tasks, contenders and blocks small enough for a test, and a clock of its own."""

import dataclasses
from typing import Any

import numpy as np

from normlab.bench.block import Block, Row
from normlab.bench.contender import Contender
from normlab.bench.task import Task, make_task
from normlab.data import Dataset
from normlab.run_options import RunOptions


def images(side: int = 8, channels: int = 3) -> Dataset:
    """Random images whose label is told by their brightness."""
    random = np.random.default_rng(0)

    def split(count: int) -> tuple[np.ndarray, np.ndarray]:
        labels = np.arange(count, dtype=np.uint8) % 3
        noise = random.integers(0, 120, (count, side, side, channels))
        return (noise + 60 * labels[:, None, None, None]).astype(np.uint8), labels

    (train_x, train_y), (test_x, test_y) = split(60), split(30)
    return Dataset("bright", train_x, train_y, test_x, test_y, ("a", "b", "c"))


def task(dataset: Dataset, norm: str = "batch", **changes: Any) -> Task:
    """Two learning rates, 11 steps of 5 images, on one device."""
    settings = {
        "batch_size": 5,
        "rates": (3e-4, 3e-3),
        "steps": 11,
        "options": RunOptions(devices="1"),
    } | changes
    return make_task(dataset, norm, **settings)


class Clock:
    """Stands in for ``time.perf_counter``: it moves when it is told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def fake(
    clock: Clock,
    *,
    step: float,
    compiling: float = 0.0,
    parts: int = 1,
    members: int = 2,
    log: list | None = None,
    name: str = "",
    **known: Any,
) -> Contender:
    """A contender whose every step takes ``step`` seconds of ``clock``.

    Its first call takes ``compiling`` more, and a reset an hour.
    """
    pending = [compiling]
    log = [] if log is None else log

    def reset(part: int) -> None:
        log.append((name, "reset", part))
        clock.now += 3600.0

    def train(steps: int) -> np.ndarray:
        log.append((name, "train", steps))
        clock.now += pending[0] + step * steps
        pending[0] = 0.0
        return np.ones((members // parts, steps), np.float32)

    return Contender(reset=reset, train=train, parts=parts, **known)


def row(contender: str = "normlab (map)", **changes: Any) -> Row:
    """A contender with three runs around 2 ms."""
    base = Row(
        contender=contender,
        steps=50,
        ms=[2.0, 1.5, 3.0],
        median=2.0,
        ratio=1.0,
        compile_seconds=4.2,
        memory_bytes=3 * 2**20,
        gflops=300.0,
        matmul_share=0.5,
        bandwidth_share=0.25,
        loss_gap=0.0,
    )
    return dataclasses.replace(base, **changes)


def block(**changes: Any) -> Block:
    """normlab beside two peers, one of them slow; a third is left out."""
    base = Block(
        model="small_cnn",
        dataset="digits",
        norm="batch",
        batch_size=50,
        members=8,
        steps=50,
        devices=2,
        gflop=0.6,
        least_bytes=10**7,
        data_path_ms=0.02,
        data_path_share=0.01,
        best_peer="fast_peer (b)",
        ratio_to_best_peer=0.5,
        rows=[
            row(),
            row("fast_peer (b)", ms=[4.0, 4.5, 3.5], median=4.0, ratio=0.5),
            row(
                "slow_peer",
                ms=[40.0] * 3,
                median=40.0,
                ratio=0.05,
                steps=3,
                memory_bytes=None,
            ),
        ],
        left_out={"absent_peer": "it needs a CUDA device"},
    )
    return dataclasses.replace(base, **changes)
