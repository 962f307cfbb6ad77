"""A norm whose blocks hold one value is refused before anything trains on it."""

import functools
import itertools
from typing import Any
from unittest import mock

import flax.linen as nn
import jax
import numpy as np
import pytest

from normlab.analysis import __main__ as analysis
from normlab.api import sweep as steps
from normlab.data import DATASETS
from normlab.errors import UserError
from normlab.landscape import __main__ as landscape
from normlab.norms import NORMS, functional, lp, make_norm
from normlab.settings import NormSettings
from normlab.store import RunPaths
from normlab.sweep import __main__ as sweep
from tests import tiny
from tests.called import called
from tests.faults import small
from tests.quick import quick

pytestmark = pytest.mark.faults

NOTHING = "one value, which is its own mean: that leaves nothing to normalise"
SHAPES = [
    (*sizes, channels)
    for sizes in [(1,), (2,), (1, 1, 1), (2, 1, 1), (1, 1, 2), (2, 3, 1)]
    for channels in (1, 6)
]


class Model(nn.Module):
    norm: Any

    @nn.compact
    def __call__(self, x, *, statistics, mask=None):
        return self.norm("norm1")(x, statistics=statistics, mask=mask)


def output(kind, x, groups):
    """As the pure functions have it, which refuse nothing."""
    entry = NORMS[kind]
    if kind == "batch_lp":
        return lp.lp_batch_norm(x, None, None, "2", 1e-5).y
    if entry.running:
        return functional.batch_norm(x, None, None, 1e-5).y
    if entry.blocks:
        groups = entry.blocks(NormSettings(groups=groups), x.shape[-1])
    elif "groups" not in entry.reads:  # one that does not centre refuses nothing
        model: Any = Model(make_norm(kind))
        return model.init_with_output(jax.random.key(0), x, statistics="batch")[0]
    return functional.group_norm(x, groups or 1, None, None, 1e-5).y


@pytest.mark.parametrize("kind", NORMS)
def test_a_layer_is_refused_where_its_output_is_constant(kind, tally):
    """And nowhere else: x and -x then come out the same."""
    inputs, models = [], []
    for shape, groups in itertools.product(SHAPES, (1, 2, 3, 6)):
        if shape[-1] % groups or (groups > 1 and "groups" not in NORMS[kind].reads):
            continue
        draw = np.random.default_rng(0).normal(size=shape)
        inputs.append((draw.astype(np.float32), groups))
        models.append(Model(make_norm(kind, groups=groups)))
    cases = [(x, model) for (x, _), model in zip(inputs, models, strict=True)]
    # All in one program, which compiles sooner than one for each.
    pairs = quick(
        lambda xs: [
            (output(kind, x, groups), output(kind, -x, groups))
            for x, (_, groups) in zip(xs, inputs, strict=True)
        ]
    )([x for x, _ in inputs])
    differ = [np.abs(np.subtract(y, z)).max() > 0.1 for y, z in pairs]

    def init(x, model):
        return model.init(jax.random.key(0), x, statistics="batch")

    def found(x, model, statistics):
        return model.apply(init(x, model), x, statistics=statistics)

    @quick
    def of_layers(xs):
        """With the statistics of the batch, where they are not refused."""
        models = [model for _, model in cases]
        return [
            found(x, model, "batch" if sound else "running")
            if sound or NORMS[kind].running
            else x
            for x, model, sound in zip(xs, models, differ, strict=True)
        ]

    layers = of_layers([x for x, _ in cases])
    for (x, model), sound, (y, _), z in zip(cases, differ, pairs, layers, strict=True):
        if sound:
            np.testing.assert_allclose(z, y, atol=1e-6)
            continue
        said = f"layer norm1 \\({kind}\\): .*{NOTHING}"
        if not NORMS[kind].running:
            with pytest.raises(UserError, match=said):
                jax.eval_shape(functools.partial(init, model=model), x)
            continue
        # One image is enough to initialize and for running averages, and two to train.
        np.testing.assert_allclose(z, x, rtol=1e-4)
        batch = functools.partial(found, model=model, statistics="batch")
        jax.eval_shape(batch, np.concatenate([x, x]))
        with pytest.raises(UserError, match=said):
            jax.eval_shape(batch, x)
    refused = differ.count(False)
    assert refused or "shift" not in NORMS[kind].invariant
    tally["layers with single values"] += refused


def says(capsys, command, *argv) -> str:
    """The one line that the command ends in; empty if it does what is asked."""
    status = called(command.main, command.flag_values(), argv, command.PROGRAM)
    text = capsys.readouterr().err
    if status == 0:
        return ""
    assert status == 1
    (line,) = [line for line in text.splitlines() if "error: " in line]
    assert text.splitlines()[-1] == line
    return line.split("error: ", 1)[1]


def test_the_network_that_did_not_learn(capsys, tmp_path):
    argv = "--dataset=digits --model=vgg11 --width=0.125 --norm=instance,none --lr=1e-2"
    more = f"--steps=150 --num_seeds=1 --out={tmp_path / 'run'}"
    said = says(capsys, sweep, *argv.split(), *more.split())
    assert said == (
        "instance on vgg11: layer norm5 (instance): a channel of one image at "
        f"one pixel has {NOTHING}; use another norm"
    )
    assert not (tmp_path / "run").exists()


@pytest.fixture(scope="module", autouse=True)
def _one_pixel():
    """The dataset ``tiny`` has images of one pixel, 24 to train on and 10 to test."""
    data = tiny.dataset(side=1)
    with mock.patch.dict(DATASETS, tiny=lambda folder: data):
        yield


def words(out, **changes) -> list[str]:
    base = {"dataset": "tiny", "train_size": 24, "groups": 2, "eval_batch_size": 10}
    return small.words(out, **base | changes)


ONE_AT_A_TIME = [
    {"batch_size": 1},
    {"eval_batch_size": 1, "eval_statistics": "batch"},
    {"eval_batch_size": 1, "eval_statistics": "running,batch"},
    {"eval_batch_size": 1, "eval_statistics": "precise"},
    # The last batch: of 10 test images, of 24 or 16 training images.
    {"eval_batch_size": 9, "eval_statistics": "batch"},
    {"eval_batch_size": 3, "train_eval_size": 3, "eval_statistics": "batch"},
    {"eval_batch_size": 5, "train_eval_size": 16, "eval_statistics": "batch"},
    {"eval_batch_size": 23, "eval_statistics": "precise"},
    {"quantities": "hessian_trace", "probe_images": 1, "probe_every": 2},
]


@pytest.mark.parametrize("changes", ONE_AT_A_TIME, ids=str)
@pytest.mark.parametrize("norm", ["batch", "batch_lp", "batch_noisy"])
def test_one_image_of_one_pixel(norm, changes, capsys, tmp_path, tally):
    argv = words(tmp_path / "run", norm=norm, **changes)
    said = says(capsys, sweep, *argv, "--dry_run")
    label = "batch l2" if norm == "batch_lp" else norm
    assert said.startswith(f"{label} on tiny: ")
    assert f"layer norm1 ({norm}): a channel of one image at one pixel" in said
    assert NOTHING in said and "use more images" in said and "\n" not in said
    assert ("is alone in its batch" in said) == (changes in ONE_AT_A_TIME[4:8])
    tally["commands with single values"] += 1


@pytest.mark.parametrize(
    "changes",
    [
        {"norm": "instance"},
        {"norm": "group", "groups": 4},
        {"norm": "group_correlated", "groups": 4},
        {"norm": "layer", "width": 0.25},
        {"norm": "none,group", "groups": "2,4"},
        {"norm": "instance", "quantities": "activation_moments"},
    ],
    ids=str,
)
def test_groups_of_one_channel_at_one_pixel(changes, capsys, tmp_path, tally):
    said = says(capsys, sweep, *words(tmp_path / "run", **changes), "--dry_run")
    norm = changes["norm"].removeprefix("none,")
    assert "\n" not in said and said.count(" on tiny: ") == 1
    has_groups = norm.startswith("group")
    block = "each of the " if has_groups else "a channel of one image at one pixel"
    assert f"on tiny: layer norm1 ({norm}): {block}" in said
    use = "use fewer groups, or another norm" if has_groups else "use another norm"
    assert NOTHING in said and said.endswith(use)
    tally["commands with single values"] += 1


def test_groups_behind_a_dense_layer(capsys, tmp_path):
    """Of one channel each they are refused, of two not."""
    argv = words(tmp_path / "run", dataset="digits", model="small_cnn", width=0.5)
    argv += ["--norm=group", "--norm_dense=true", "--init=standard", "--groups=8"]
    assert says(capsys, sweep, *argv, "--dry_run") == ""
    for more in ([], ["--quantities=activation_moments"]):
        said = says(capsys, sweep, *argv, "--norm=instance", *more, "--dry_run")
        assert said == (
            "instance on small_cnn: layer norm3 (instance): a channel of one image "
            f"at one pixel has {NOTHING}; use another norm, or no --norm_dense"
        )


@pytest.mark.parametrize(
    "changes",
    [
        {"eval_batch_size": 1, "eval_statistics": "running"},
        {"batch_size": 2, "eval_batch_size": 2, "eval_statistics": "batch,precise"},
        {"norm": "group", "groups": 2, "batch_size": 1, "eval_batch_size": 1},
        {
            "norm": "layer",
            "eval_statistics": "batch",
            "batch_size": 1,
            "eval_batch_size": 9,
        },
        {"norm": "none", "batch_size": 1},
    ],
    ids=str,
)
def test_two_values_are_enough(changes, capsys, tmp_path):
    """And one image is, where its statistics are not taken."""
    argv = words(tmp_path / "run", **changes)
    assert says(capsys, sweep, *argv, "--dry_run") == ""


@pytest.mark.slow
def test_what_is_measured_of_a_stored_run(capsys, tmp_path):
    root = tmp_path / "run"
    with mock.patch.object(steps, "draw_all", lambda *args: ([], [])):
        assert says(capsys, sweep, *words(root)) == ""
    run = f"--run={root}"
    quantity = (run, "--quantities=hessian_trace", "--probe_samples=2")
    for images, fault in ((1, True), (2, False)):
        said = says(capsys, analysis, *quantity, f"--probe_images={images}")
        assert (NOTHING in said) == fault and bool(said) == fault
    line = (run, "--kind=line", "--points=3", "--images=9")
    for more, fault in (
        ("--batch=1", True),
        ("--batch=4", True),  # 4 and 4 and 1
        ("--images=1", True),
        ("--batch=3", False),
    ):
        said = says(capsys, landscape, *line, more)
        assert (NOTHING in said) == fault and bool(said) == fault
        cells = RunPaths.at(root).cells.iterdir()
        stored = [cell for cell in cells if (cell / "landscapes").exists()]
        assert bool(stored) == (not fault)  # a mistake leaves no folder behind
