"""A new setting, norm or quantity needs its own lines, and nothing else."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import normlab
from normlab.figures.colours import looks
from normlab.norms import NORMS, functional
from normlab.norms.entry import Entry
from normlab.quantities import QUANTITIES, Quantity
from normlab.settings import NetworkSettings, declared
from normlab.sweep.grid import expand
from normlab.train.program import data_arrays
from tests import added_setting, tiny
from tests.norms import test_all_norms
from tests.quantities import test_oracles

PACKAGE = Path(normlab.__file__).parent

# A file of a copy of normlab -> what is written in it, and what it is written for: a
# setting that a norm reads, with its use, and one that has nothing to do with norms.
ADDED = {
    "settings/norms.py": (
        "    epsilon: float = flag(",
        '    blur: float = flag(0.0, "Made up.", axis="static", low=0, below=1, '
        "read_by=_BY_NORM, float32=True, before=0.0)\n    epsilon: float = flag(",
    ),
    "norms/layers/batch_norm.py": (
        '    return layer(x, use_running_average=statistics == "running", mask=mask)\n',
        '    y = layer(x, use_running_average=statistics == "running", mask=mask)\n'
        "    return (1 - options.blur) * y\n",
    ),
    "settings/training.py": (
        "    batch_order: str = flag(",
        '    mode: str = flag("slow", "Made up.", axis="static", '
        'choices=("slow", "fast"), before="slow")\n    batch_order: str = flag(',
    ),
}
# The norm says that it reads it.
READS = (
    "ENTRY = Entry(batch, AFFINE | RUNNING,",
    'ENTRY = Entry(batch, AFFINE | RUNNING | {"blur"},',
)


def copy_with_settings(folder: Path) -> None:
    """normlab in ``folder``, with `ADDED` in it."""

    def link(source, target):
        os.symlink(source, target)

    skip = shutil.ignore_patterns("__pycache__")
    shutil.copytree(PACKAGE, folder / "normlab", copy_function=link, ignore=skip)
    for name, (old, new) in ADDED.items():
        path, changes = folder / "normlab" / name, [(old, new)]
        if name == "norms/layers/batch_norm.py":
            changes.append(READS)
        text = path.read_text(encoding="utf-8")
        for before, after in changes:
            assert text.count(before) == 1, before
            text = text.replace(before, after)
        path.unlink()
        path.write_text(text, encoding="utf-8")


def test_a_setting_is_declared_and_used_and_nothing_else(tmp_path):
    copy_with_settings(tmp_path)
    path = os.pathsep.join([str(tmp_path), str(PACKAGE.parent)])
    environment = os.environ | {"PYTHONPATH": path, "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-m", "tests.added_setting"]
    done = subprocess.run(
        command,
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [check.__name__ for check in added_setting.CHECKS]


def scale_only(options, name, x, statistics, mask):
    """Divides an example by its root mean square, and does not centre it."""
    axes = tuple(range(1, x.ndim))
    mean, var = functional.moments(x, axes, mask=mask)
    inverse = jax.lax.rsqrt(jnp.square(mean) + var + options.epsilon)
    return x * inverse.reshape(-1, *(1 for _ in axes))


@pytest.fixture
def new_norm():
    reads = frozenset({"epsilon", "norm_dense"})
    entry = Entry(scale_only, reads, invariant=frozenset({"scale"}))
    with mock.patch.dict(NORMS, scale_only=entry):
        yield "scale_only"


def test_a_norm_is_in_the_help(new_norm):
    text = declared(NetworkSettings.__dataclass_fields__["norm"]).text
    known = f"{', '.join(NORMS)}, or module:attribute"
    assert text == f"Normalization. Known: {known}. [static]"
    assert new_norm in text


@pytest.mark.parametrize("beside", [[], ["none"], ["batch"], ["group (G=4)", "batch"]])
@pytest.mark.parametrize("first", [True, False])
def test_a_norm_has_a_colour_of_its_own(beside, first, new_norm):
    labels = [new_norm, *beside] if first else [*beside, new_norm]
    colors = {label: look["color"] for label, look in looks(labels).items()}
    assert len(set(colors.values())) == len(labels)
    assert colors[new_norm] != looks(["none", "batch"])["none"]["color"]


def test_a_norm_has_a_label_and_reads_what_it_says(new_norm):
    """Axes that it does not read do not multiply its cells."""
    config = tiny.sweep_config(
        norm=("batch", new_norm),
        groups=(2, 4),
        epsilon=(1e-5, 1e-3),
        norm_momentum=(0.9, 0.99),
        norm_scale=(True, False),
        eval_statistics=("running", "batch"),
        quantities=("gradient_norm", "identities"),
    )
    cells = [cell.config for cell in expand(config, {"digits": 100})]
    found = [cell for cell in cells if cell.norm == new_norm]
    assert [(c.label, c.groups, c.epsilon, c.norm_momentum) for c in found] == [
        (new_norm, None, epsilon, 0.9) for epsilon in (1e-5, 1e-3)
    ]
    assert {c.quantities for c in found} == {("gradient_norm",)}
    assert {c.eval_statistics for c in found} == {("running",)}
    assert len(cells) == 2 + 8


def test_a_norm_trains(new_norm):
    config = tiny.cell_config(norm=new_norm)
    program, data = tiny.program(config), tiny.dataset()
    arrays = {k: jnp.asarray(v) for k, v in data_arrays(data).items()}
    values = {"lr": 0.05, "momentum": 0.0, "weight_decay": 0.0}

    @jax.jit
    def train(indices):
        state = program.init(jnp.int32(0), values)
        return state, program.call(state, indices, jnp.int32(2), arrays)

    before, (after, metrics) = train(jnp.arange(10).reshape(2, 5))
    assert int(after.step) == 2 and np.isfinite(metrics["batch_loss"]).all()
    moved = jax.tree.map(lambda a, b: abs(a - b).max(), before.params, after.params)
    assert min(jax.tree.leaves(moved)) > 0


def test_a_norm_passes_what_is_asked_of_every_norm(new_norm):
    """The tests of `tests.norms.test_all_norms`, none of which knows its name."""
    x = test_all_norms.draw()
    every = test_all_norms
    every.test_variables_lie_under_the_layers_name(new_norm, x)
    every.test_scale_and_bias_can_be_left_out_or_initialized(new_norm, x)
    every.test_offset_of_1e4_comes_out_with_mean_0_and_variance_1(new_norm)
    every.test_every_norm_has_the_same_epsilon(new_norm)
    every.test_mask_keeps_padding_from_the_real_examples(new_norm, x)
    every.test_only_batch_norms_keep_running_statistics(new_norm, x)
    every.test_equal_norms_do_not_retrace(new_norm, x)
    with jax.enable_x64(True):
        every.test_invariance_to_a_positive_scale_and_to_a_shift(new_norm, None)


def test_a_norm_that_says_too_much_of_itself_is_found_out(new_norm):
    """It is not invariant to a shift."""
    entry = NORMS[new_norm]._replace(invariant=frozenset({"scale", "shift"}))
    with (
        mock.patch.dict(NORMS, {new_norm: entry}),
        jax.enable_x64(True),
        pytest.raises(AssertionError),
    ):
        test_all_norms.test_invariance_to_a_positive_scale_and_to_a_shift(
            new_norm, None
        )


def test_a_quantity_without_an_oracle_fails():
    test_oracles.test_every_quantity_has_an_oracle()
    entry = Quantity(lambda point: {"one": point.loss_and_gradient[0]})
    with mock.patch.dict(QUANTITIES, made_up=entry):
        assert test_oracles.missing() == {"made_up"}
        with pytest.raises(AssertionError):
            test_oracles.test_every_quantity_has_an_oracle()
        with pytest.raises(KeyError, match="made_up"):
            test_oracles.test_a_quantity_is_what_its_oracle_says("made_up", {}, {})
