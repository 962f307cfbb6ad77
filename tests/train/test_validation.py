"""Images that are held out: evaluated apart, and never trained on."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from normlab.data.batches import held_out, trained_on
from normlab.errors import UserError
from normlab.run_options import RunOptions
from normlab.store import load
from normlab.store.layout import RunPaths
from normlab.sweep.execute import run_cell
from normlab.sweep.grid import expand
from normlab.sweep.picked import batches, seen
from normlab.train.program import data_arrays
from tests import tiny
from tests.cells import SIZES

OUT = 6
CELL = tiny.cell(validation=OUT, train_eval_size=9)


def test_a_member_trains_and_is_evaluated_on_other_images():
    for place, member in enumerate(CELL.members):
        out = held_out(member.seed, 24, OUT)
        rows = batches(CELL, [place], 0, 12, 12).ravel()
        assert set(rows) == set(trained_on(member.seed, 24, OUT))
        evaluated = seen(CELL, [place], 0)[0]
        assert set(evaluated[:9]).isdisjoint(out) and list(evaluated[9:]) == list(out)
    current = tiny.cell(validation=OUT, train_eval_size=9, train_eval="current")
    now = seen(current, [0], 3)[0]
    assert set(now[:9]) <= set(trained_on(0, 24, OUT)) and len(now) == 9 + OUT


def test_validation_is_over_held_out_images_and_statistics_leave_them_out():
    data = tiny.dataset()
    arrays = data_arrays(data)
    kinds = ("precise", "running")
    config = tiny.cell_config(
        validation=OUT, train_eval_size=9, eval_statistics=kinds, eval_batch_size=5
    )
    program, rows = tiny.program(config, data), seen(CELL, [0], 0)[0]
    values = {"lr": 0.1, "momentum": 0.0, "weight_decay": 0.0}
    hyper = {k: np.float32(v) for k, v in values.items()}
    state = jax.jit(program.init)(jnp.int32(0), hyper)
    evaluate = jax.jit(program.evaluate)
    found = evaluate(state, rows, arrays)
    # The held-out images as a test set have the same loss.
    out = rows[9:]
    other = {**arrays, "test_x": data.train_x[out], "test_y": data.train_y[out]}
    again = evaluate(state, rows, other)
    for name in ("loss", "accuracy", "loss_running", "accuracy_precise"):
        at = found[f"validation_{name}"]
        assert float(at) == pytest.approx(float(again[f"test_{name}"]), rel=1e-6)
    assert float(found["validation_loss"]) != float(found["train_loss"])
    # What is held out changes its own loss alone.
    dark = data.train_x.copy()
    dark[out] //= 2
    changed = evaluate(state, rows, {**arrays, "train_x": dark})
    for name in found:
        same = float(changed[name]) == float(found[name])
        assert same != (name.startswith("validation_loss")), name
    # Precise statistics are those of a training set without them.
    without = tiny.cell_config(
        train_size=18, train_eval_size=9, eval_statistics=kinds, eval_batch_size=18
    )
    rest = trained_on(0, 24, OUT)
    few = {**arrays, "train_x": data.train_x[rest], "train_y": data.train_y[rest]}
    alone = jax.jit(tiny.program(without, data).evaluate)(state, np.arange(9), few)
    whole = tiny.cell_config(
        validation=OUT, train_eval_size=9, eval_statistics=kinds, eval_batch_size=24
    )
    at_once = jax.jit(tiny.program(whole, data).evaluate)(state, rows, arrays)
    for name in ("train_loss_precise", "test_loss_precise"):
        assert float(at_once[name]) == pytest.approx(float(alone[name]), rel=1e-5)


def test_a_run_stores_the_metrics_of_validation(tmp_path):
    paths = RunPaths.at(tmp_path)
    paths.sweep.write_text(f'{{"cells": ["{CELL.id}"]}}')
    run_cell(tiny.plan(CELL), paths.cell(CELL.id), RunOptions(), tiny.Silent())
    frame = load(tmp_path)
    evaluated = frame[frame["test_loss"].notna()]
    assert evaluated["validation_loss"].gt(0).all()
    assert evaluated["validation_accuracy"].between(0, 1).all()
    assert frame["validation"].eq(OUT).all()


def test_a_sweep_counts_epochs_of_what_is_trained_on():
    config = tiny.sweep_config(validation=(24,), epochs=1.0, steps=0, norm=("none",))
    (cell,) = expand(config, SIZES)
    assert (cell.config.steps, cell.config.train_size) == (5, 64)  # 40 images by 8
    assert cell.config.train_eval_size == 32
    plain = tiny.sweep_config(norm=("none",))
    assert expand(plain, SIZES)[0].config.validation == 0
    for out, words in ((64, "leaves none"), (60, "larger than the 4 training")):
        with pytest.raises(UserError, match=words):
            expand(tiny.sweep_config(validation=(out,), norm=("none",)), SIZES)
