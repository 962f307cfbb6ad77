"""Verdicts from run directories: whole and thinned ones, and quantities."""

import numpy as np
import pytest

from normlab.cell import Cell
from normlab.claims import CLAIMS, ledger
from normlab.claims.along_path import (
    BETWEEN_LAYERS,
    GRADIENT_RANGE,
    GRADIENT_SIZE,
    LOSS_RANGE,
    LOSS_RANGE_AT_LOSS,
    MEANS_APART,
    REGULAR,
    SHIFT_COSINE,
    SMOOTHNESS,
    SMOOTHNESS_AT_LOSS,
    VARIANCE_ERROR,
)
from normlab.claims.evidence import Evidence
from normlab.quantities import QUANTITIES
from normlab.store import load
from normlab.store.layout import RunPaths
from normlab.store.quantities import ProbeRecorder, to_table
from normlab.store.thin import thin
from tests.claims.made import CIFAR, frame
from tests.store.handmade import make_cell, write_run

EASY = {"steps": 300, "eval_every": 100, "train_size": 1000}
SEEDS = 5


def cells(seeds: int = SEEDS) -> list[Cell]:
    norms = ({"norm": "none"}, {"norm": "batch"}, {"norm": "group", "groups": 4})
    return [make_cell(lrs=(1e-3,), seeds=seeds, **EASY, **norm) for norm in norms]


def every() -> list[Cell]:
    """The cells of digits_easy.flags, of a length that a test can afford."""
    norms = [{"norm": "none"}, {"norm": "batch"}]
    norms += [{"norm": "group", "groups": g} for g in (1, 4, 16)]
    rates = (3e-4, 1e-3, 3e-3)
    return [
        make_cell(lrs=rates, seeds=SEEDS, **EASY | {"batch_size": size}, **norm)
        for norm in norms
        for size in (10, 50)
    ]


def rising(member, step: int) -> float:
    """Ends highest at the rate that takes longest to 95 %."""
    ends = {3e-4: (0.90, 0.98), 1e-3: (0.94, 0.97), 3e-3: (0.94, 0.968)}
    start, level = ends[member.lr]
    return start + (level - start) * step / 300 + 1e-4 * member.seed


def test_a_thinned_run_has_the_same_verdicts(tmp_path):
    write_run(tmp_path / "whole", every(), score=rising)
    thinned = thin(tmp_path / "whole", tmp_path / "thin").root
    assert len(load(thinned)) * 20 < len(load(tmp_path / "whole"))
    whole, few = ledger([tmp_path / "whole"]), ledger([thinned])
    decided = {v.id: v.words for v in whole if v.verdict != "undecided"}
    parts = [f"E11d.{k}" for k in range(1, 21)]
    assert decided == dict.fromkeys(["E11d", *parts], "not at its scale: digits")
    # Of batches of 10, where an epoch is 100 steps: the end at the worst rate, and the
    # epochs to 95 % at the rate that takes longest.
    end, epochs = (next(v for v in whole if v.id == f"E11d.{k}") for k in (1, 2))
    assert end.estimate == pytest.approx(96.82)
    assert epochs.estimate == pytest.approx(1.8675, rel=1e-3)
    for one, other in zip(whole, few, strict=True):
        assert one[:9] == other[:9] and one.note == other.note
        numbers = [(v.estimate, v.low, v.high, v.n) for v in (one, other)]
        np.testing.assert_allclose(*numbers, rtol=1e-6)
    assert {v.runs for v in few} == {(), (str(thinned),)}


def write_quantities(paths: RunPaths, own: list[Cell], values: dict) -> None:
    """``values``: quantity -> (labels, function of (norm, seed) -> fields)."""
    for cell in own:
        recorder = ProbeRecorder(paths.cell(cell.id))
        for name, (labels, of) in values.items():
            if cell.config.norm == "none" and "norm" in QUANTITIES[name].needs:
                continue
            found = [of(cell.config.norm, member.seed) for member in cell.members]
            fields = {k: np.stack([f[k] for f in found]) for k in found[0]}
            for step in (0, 100, 200):
                table = to_table(step, fields, QUANTITIES[name].axes, labels)
                recorder.add(name, table)
        recorder.flush(300)


LAYERS = ("conv1", "norm1", "conv2", "norm2", "dense1")


def test_the_theory_is_judged_by_its_identities(tmp_path):
    def by_layer(values: dict, seed: int) -> dict[str, np.ndarray]:
        """Of two layers; nearly the same for each seed."""
        return {k: np.array(v) * (1 + 1e-6 * seed) for k, v in values.items()}

    def identities(norm: str, seed: int):
        fails = {"batch": (0.0, 0.0), "group": (0.1, 0.3)}[norm]
        values = {"relative_error": (1e-7, 1e-6), "bound_ratio": (1.0, 5.0)}
        values |= {"scaling_residual": (1e-6, 0.5), "printed_fails": fails}
        return by_layer(values, seed)

    def curvature(norm: str, seed: int):
        return by_layer({"relative_error": (1e-7, 1e-6)}, seed)

    own = cells()
    paths = write_run(tmp_path, own)
    labels = {"norm_layer": ("norm1", "norm2")}
    values = {
        "identities": (labels, identities),
        "curvature_identities": (labels, curvature),
    }
    write_quantities(paths, own, values)
    found = {v.id: v for v in ledger([tmp_path])}
    names = ["F1", "F4", *(f"S4.{k}" for k in ("1", "1c", "1g", "2", "5"))]
    verdicts = {name: found[name].verdict for name in names}
    wanted = dict.fromkeys(names, "identity holds")
    wanted |= {"S4.1g": "contradicted", "S4.5": "contradicted", "S4.1": "supported"}
    assert verdicts == wanted
    assert found["F1"].words == "identity holds to 1.0e-06"
    wanted = {
        "S4.1g": 0.3,  # the largest
        "S4.1c.1": 1e-6,
        "S4.1c.2": 1.0,  # the least
        "S4.5": 0.5,
    }
    for name, value in wanted.items():
        assert found[name].estimate == pytest.approx(value, rel=1e-4), name


def test_measures_along_the_path(tmp_path):
    own = cells(seeds=1)
    paths = write_run(tmp_path, own)
    parts = ("all", *LAYERS)

    def gradient(norm: str, seed: int):
        #                    all conv1 norm1 conv2 norm2 dense1
        return {"l2": np.array([9.0, 3.0, 5.0, 4.0, 6.0, 12.0])}

    def smoothness(norm: str, seed: int):
        return {"beta": np.array([7.0, 2.0, 3.0])}

    def moments(norm: str, seed: int):
        mean = np.array([[[9, 9], [9, 9]], [[1, 4], [9, 9]]], float)
        std = np.array([[[9, 9], [9, 9]], [[1, 2], [0.5, 0.5]]])
        skewness = np.array([[[9, 9], [9, 9]], [[2, -3], [1, -0.5]]], float)
        return {"mean": mean, "std": std, "skewness": skewness}

    sides = {"norm_layer": ("norm1", "norm2"), "side": ("before", "after")}
    values = {
        "gradient_norm": ({"part": parts}, gradient),
        "effective_smoothness": ({"eta": (0.25, 0.5, 1.0)}, smoothness),
        "loss_range": ({}, lambda n, s: {"low": np.array(1.0), "high": np.array(4.0)}),
        "internal_covariate_shift": (
            {"layer": LAYERS},
            lambda n, s: {"cosine": np.array([1.0, 0.9, 0.2, 0.9, 0.6])},
        ),
        "activation_moments": ({**sides, "channel": (0, 1)}, moments),
    }
    write_quantities(paths, own, values)
    evidence = Evidence.read([tmp_path])
    networks = evidence.members.index
    wanted = {
        LOSS_RANGE: 3.0,
        SMOOTHNESS: 3.0,  # not 7, which is of a shorter trial step than theirs
        GRADIENT_SIZE: 13.0,  # of 3, 4 and 12: no norm, and not the sum "all"
        GRADIENT_RANGE: 0.0,
        BETWEEN_LAYERS: np.log10(4),
        SHIFT_COSINE: 0.4,  # of conv2 and dense1
        VARIANCE_ERROR: -0.75,
        MEANS_APART: 2.0,
    }
    for measure, value in wanted.items():
        found = measure.of(evidence, networks, "running")
        assert len(found) == 3 and set(found.index) == set(networks), measure.words
        np.testing.assert_allclose(found, value, rtol=1e-3, err_msg=measure.words)
    others = measure.of(evidence, networks[:0], "running")
    assert len(others) == 0


def test_a_regular_channel_changes_less_in_width(tmp_path):
    own = cells(seeds=2)
    paths = write_run(tmp_path, own)
    labels = {"norm_layer": ("norm1", "norm2"), "side": ("before", "after")}
    for cell in own:
        recorder = ProbeRecorder(paths.cell(cell.id))
        for step in (0, 100, 200):
            # Before: widths of 1, e and e². After: as much, or a quarter, or not at
            # all. The first norm does not count.
            width = np.full((2, 2, 2, 3), 9.0 + step)
            width[:, 1, 0] = np.exp(step / 100)
            width[:, 1, 1] = np.exp(step / 100 * np.array([1.0, 0.25, 0.0]))
            fields = {"mean": np.zeros_like(width), "std": width}
            axes = QUANTITIES["activation_moments"].axes
            table = to_table(step, fields, axes, labels | {"channel": (0, 1, 2)})
            recorder.add("activation_moments", table)
        recorder.flush(300)
    evidence = Evidence.read([tmp_path])
    found = REGULAR.of(evidence, evidence.members.index, "running")
    np.testing.assert_allclose(found, 0.625)  # the median of 1 and a quarter
    assert len(found) == 6 and REGULAR.ratio


def test_panels_are_compared_at_equal_losses_too(tmp_path):
    """Seed 1 is at a loss of 1.3 after 100 steps, seed 0 after 200, and 2 never.

    The loss is that of the measurement itself. The mean batch loss since the last
    evaluation is 1.2 at all steps, also where the measurement says 3.3.
    """
    start = np.array([3.3, 2.3, 9.0])
    (cell,) = cells(seeds=3)[:1]
    paths = write_run(tmp_path, [cell], loss=lambda m, t: 1.2)
    recorder = ProbeRecorder(paths.cell(cell.id))
    for step in (0, 100, 200):
        fields = {"low": np.zeros(3), "high": np.full(3, 1.0 + step)}
        fields["here"] = start - step / 100
        table = to_table(step, fields, QUANTITIES["loss_range"].axes, {})
        recorder.add("loss_range", table)
        beta = {"beta": np.full((3, 1), 1.0 + step)}
        axes = QUANTITIES["effective_smoothness"].axes
        table = to_table(step, beta, axes, {"eta": (1.0,)})
        recorder.add("effective_smoothness", table)
    recorder.flush(300)
    evidence = Evidence.read([tmp_path])
    members = evidence.members.reset_index().set_index("seed")["network"]
    for measure in (LOSS_RANGE_AT_LOSS, SMOOTHNESS_AT_LOSS):
        found = measure.of(evidence, evidence.members.index, "running")
        assert dict(found) == {members[0]: 201.0, members[1]: 101.0}
        assert "1 to 1.5 nats" in measure.words
    every = LOSS_RANGE.of(evidence, evidence.members.index, "running")
    assert dict(every) == dict.fromkeys(members, 101.0)


def test_only_members_with_the_quantity_count(tmp_path):
    own = cells()
    paths = write_run(tmp_path, own)
    values = {
        "loss_range": ({}, lambda n, s: {"low": np.array(0.0), "high": np.array(1.0)})
    }
    write_quantities(paths, own[:1], values)
    evidence = Evidence.read([tmp_path])
    found = LOSS_RANGE.of(evidence, evidence.members.index, "running")
    assert set(evidence.members.loc[found.index, "norm"]) == {"none"}


def test_every_claims_measure_can_be_taken_of_a_run(tmp_path):
    """No claim stumbles over a run that has not what it reads."""
    write_run(tmp_path, cells())
    evidence = Evidence.read([tmp_path])
    networks = evidence.members.index
    for claim in CLAIMS.values():
        for part in claim.parts:
            found = part.measure.of(evidence, networks, part.sides[0].statistics)
            assert set(found.index) <= set(networks), part.statistic


def test_made_tables_are_like_the_stores(tmp_path):
    write_run(tmp_path, cells())
    stored, made = load(tmp_path), frame(**CIFAR)
    assert set(stored.columns) - {"batch_accuracy", "gradient_norm", "lr_step"} <= set(
        made.columns
    ) | {"label"}
