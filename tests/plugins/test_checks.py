"""What comes from outside is checked at the door: one line says what is wrong."""

import dataclasses
from pathlib import Path
from typing import Any
from unittest import mock

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from numpy.testing import assert_allclose

from normlab.data import DATASETS, Dataset, load
from normlab.data.adopted import adopt as adopt_dataset
from normlab.data.adopted import digest
from normlab.errors import UserError
from normlab.models import MODELS
from normlab.models.adopted import adopt as adopt_model
from normlab.norms import NORMS, Norm, NormOptions, make_norm
from normlab.norms.adopted import adopt as adopt_norm
from normlab.quantities import QUANTITIES, Quantity
from normlab.quantities import _adopt as adopt_quantity
from normlab.quantities.adopted import checked
from normlab.train.adopted import adopted_optimizer
from normlab.train.door import check_network
from normlab.train.measure import askable
from normlab.train.network import build_network
from tests import tiny

NAME = "my:thing"
NOTHING: Any = dict
X = np.random.default_rng(0).normal(size=(6, 3, 3, 1))
Y = np.array([0, 1, 2, 0, 1, 2])


@pytest.fixture(autouse=True)
def forget(monkeypatch):
    """Plugins of a test are gone after it."""
    for registry in (MODELS, NORMS, DATASETS):
        monkeypatch.setattr(registry, "_adopted", {})
        monkeypatch.setattr(registry, "sources", {})


def dataset(*arrays) -> Dataset:
    return adopt_dataset(lambda: arrays, NAME)(None)


def test_arrays_become_a_dataset():
    found = dataset(X, Y, X[:4], Y[:4])
    assert found.train_x.dtype == np.float32 and found.train_y.dtype == np.uint8
    assert found.classes == ("0", "1", "2") and found.image_shape == (3, 3, 1)
    assert_allclose(found.train_x, X, rtol=1e-6)
    given = {"train_x": X, "train_y": Y, "test_x": X, "test_y": Y, "classes": "abcd"}
    given["classes"] = [*"abcd"]
    assert adopt_dataset(lambda data_dir: given, NAME)(None).classes == (*"abcd",)
    assert adopt_dataset(found, NAME)(None).classes == found.classes
    other = dataset(X + 1, Y, X[:4], Y[:4])
    assert digest(found) == digest(dataset(X, Y, X[:4], Y[:4])) != digest(other)


NAN = np.where(np.arange(54).reshape(6, 3, 3, 1) == 20, np.nan, X)
BAD = [
    (
        (X[..., 0], Y, X, Y),
        r"train_x has shape \(6, 3, 3\); images need \(N, H, W, C\)",
    ),
    ((X, Y, X[0, 0], Y), r"test_x has shape \(3, 1\)"),
    ((X, Y * 1.0, X, Y), "train_y is float64; labels are whole numbers, from 0"),
    ((X, Y[:, None], X, Y), r"train_y has shape \(6, 1\); labels need \(N,\)"),
    ((X, Y, X, Y - 1), "test_y has labels from -1 to 1"),
    ((X, Y, X, Y + 1), "test_y has the label 3, but there are 3 classes, from 0"),
    ((NAN, Y, X, Y), "train_x has a NaN or an infinity in image 2"),
    ((X, Y, X * 1e39, Y), "test_x has a NaN or an infinity in image 0"),
    ((X, Y[:5], X, Y), "train_x has 6 images, and train_y 5 labels"),
    ((X[:0], Y[:0], X, Y), "train_x is empty"),
    ((X.astype(int), Y, X, Y), "train_x is int64; images are uint8"),
    ((X, Y, X[:, 1:], Y), r"of train_x are float32 \(3, 3, 1\), and of test_x"),
    (([[1], [1, 2]], Y, X, Y), "train_x is not an array"),
    ((X, [*"abcabc"], X, Y), "train_y is an array of <U1, not of numbers"),
    ((X, Y, X), "it must return train_x, train_y, test_x, test_y"),
]


@pytest.mark.parametrize("arrays, said", BAD)
def test_bad_arrays(arrays, said):
    with pytest.raises(UserError, match=said) as caught:
        dataset(*arrays)
    assert str(caught.value).startswith(f"--dataset={NAME}: ")


def test_npz(tmp_path):
    file = tmp_path / "eggs.npz"
    arrays: dict[str, Any] = {"train_x": X, "train_y": Y, "test_x": X, "test_y": Y}
    np.savez(file, **arrays)
    name = f"npz:{file}"
    assert load(name).classes == ("0", "1", "2")
    source = DATASETS.sources[name]
    assert len(source["sha256"]) == len(source["arrays"]) == 64
    np.savez(tmp_path / "less.npz", train_x=X)
    np.save(tmp_path / "one.npy", X)
    (tmp_path / "text.npz").write_text("no arrays", encoding="utf-8")
    pickled: dict[str, Any] = arrays | {"classes": np.array([{}], object)}
    np.savez(tmp_path / "pickled.npz", **pickled)
    for file, said in [
        ("less.npz", r"no array train_y \(its arrays: train_x\)"),
        ("one.npy", "it is not a file of arrays that numpy.savez wrote"),
        ("text.npz", "it is not a file of arrays that numpy.savez wrote"),
        ("pickled.npz", "it is not a file of arrays that numpy.savez wrote"),
        ("none.npz", "there is no such file"),
    ]:
        with pytest.raises(UserError, match=said):
            load(f"npz:{tmp_path / file}")


class Plain(nn.Module):
    """The least that a network needs."""

    classes: int

    @nn.compact
    def __call__(self, x):
        return nn.Dense(self.classes, name="dense")(x.reshape(x.shape[0], -1))


class Normed(nn.Module):
    classes: int
    norm: Any
    places: tuple = ("norm1", "norm2")

    @nn.compact
    def __call__(self, x):
        for name in self.places:
            x = self.norm(name)(nn.Dense(4, name=f"in_{name}")(x))
        return nn.Dense(self.classes, name="out")(x.mean((1, 2)))


def network(model: Any, norm: str = "none", **changes: Any):
    entry = adopt_model(model, NAME)
    with (
        mock.patch.dict(MODELS._adopted, {NAME: entry}),
        mock.patch.dict(NORMS._adopted, {}),
    ):
        config = tiny.cell_config(model=NAME, norm=norm, init="standard", **changes)
        return build_network(config, tiny.dataset())


def test_a_plain_module_is_a_model():
    built = network(Normed, "batch")
    check_network(built, 3, ("identities",))
    shapes = jax.eval_shape(built.initial, jnp.uint32(0))
    assert set(shapes["params"]) == {"in_norm1", "norm1", "in_norm2", "norm2", "out"}
    assert set(shapes["batch_stats"]) == {"norm1", "norm2"}


def test_its_norm_sees_the_statistics_and_the_mask():
    """Against normlab's own norm in a network of the same layers."""
    built = network(Normed, "batch")
    x = np.random.default_rng(1).normal(size=(4, 2, 2, 3)).astype(np.float32)
    variables = tiny.drawn(built.model, x)
    norm = make_norm("batch")

    class Own(nn.Module):
        @nn.compact
        def __call__(self, x, statistics, mask):
            for name in ("norm1", "norm2"):
                x = nn.Dense(4, name=f"in_{name}")(x)
                x = norm(name)(x, statistics=statistics, mask=mask)
            return nn.Dense(3, name="out")(x.mean((1, 2)))

    mask = np.array([1, 1, 1, 0], np.float32).reshape(4, 1, 1, 1)
    found, wanted = [], []
    for statistics, seen in (("batch", None), ("batch", mask), ("running", None)):
        how = {"statistics": statistics, "mask": seen}
        found.append(built.model.apply(variables, x, **how))
        wanted.append(Own().apply(variables, x, **how))
    assert not np.allclose(wanted[0], wanted[1])
    assert not np.allclose(wanted[0], wanted[2])
    assert_allclose(np.stack(found), np.stack(wanted), rtol=1e-6)


class OwnBatchNorm(nn.Module):
    classes: int

    @nn.compact
    def __call__(self, x, train):
        x = nn.BatchNorm(use_running_average=not train, momentum=0.5, name="bn")(x)
        return nn.Dense(self.classes, name="out")(x.mean((1, 2)))


def test_a_batch_norm_of_ones_own_is_measured_without_a_change():
    model = network(OwnBatchNorm).model
    x = np.random.default_rng(1).normal(2, 1, size=(4, 2, 2, 3)).astype(np.float32)
    variables = tiny.drawn(model, x)
    y, new = model.apply(variables, x, statistics="batch", mutable=["batch_stats"])
    assert_allclose(model.apply(variables, x, statistics="batch"), y, rtol=1e-6)
    mean = 0.5 * variables["batch_stats"]["bn"]["mean"] + 0.5 * x.mean((0, 1, 2))
    assert_allclose(new["batch_stats"]["bn"]["mean"], mean, rtol=1e-5)
    assert not np.allclose(model.apply(variables, x, statistics="running"), y)


class Nested(nn.Module):
    classes: int
    norm: Any

    @nn.compact
    def __call__(self, x):
        return Normed(self.classes, self.norm, name="inner")(x)


class Wrong(nn.Module):
    norm: Any = None

    @nn.compact
    def __call__(self, x):
        return nn.Dense(5)(x)


class Whole(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.Dense(3)(x.mean((1, 2))).max(-1)


class Integers(nn.Module):
    @nn.compact
    def __call__(self, x):
        return (nn.Dense(3)(x.mean((1, 2))) > 0).astype(jnp.int32)


def fails(classes):
    raise KeyError("no such thing")


BAD_MODELS = [
    (Plain, "batch", {}, "has no field 'norm'; use --norm=none"),
    (Plain, "none", {"width": 2.0}, "has no field 'width'; use --width=1"),
    (Plain, "none", {"precision": "bfloat16"}, "has no field 'dtype'"),
    (Wrong, "none", {}, r"returns the shape \(2, 6, 6, 5\), and must return \(2, 3\)"),
    (Whole, "none", {}, r"returns the shape \(2,\), and must return \(2, 3\)"),
    (Integers, "none", {}, "it returns int32, not floats"),
    (lambda classes: 3, "none", {}, "it makes a int, not a flax.linen module"),
    (lambda classes: Plain(4), "none", {}, r"returns the shape \(2, 4\), and must"),
    (fails, "none", {}, "KeyError: 'no such thing' .*test_checks.py:"),
    (lambda classes, hidden: 0, "none", {}, "needs an argument 'hidden'"),
    (3, "none", {}, "a model is a class of flax.linen modules, .* not a int"),
    (dict, "none", {}, "dict is not a class of flax.linen modules"),
    (
        lambda classes, norm: Normed(classes, norm, ("a", "a_", "a")),
        "batch",
        {},
        "two norms are called 'a'|NameInUse",
    ),
    (
        lambda classes, norm: Plain(classes),
        "batch",
        {},
        "it never calls self.norm, so --norm=batch would change nothing",
    ),
    (Nested, "batch", {}, "the norm 'norm1' is inside 'inner'"),
]


@pytest.mark.parametrize("model, norm, changes, said", BAD_MODELS)
def test_bad_models(model, norm, changes, said):
    with (
        mock.patch.dict("normlab.plugins.calls.PLACES", {NAME: Path(__file__)}),
        pytest.raises(UserError, match=said),
    ):
        check_network(network(model, norm, **changes), 3, ("identities",))


def applied(norm: Any, x: Any, **options: Any) -> Any:
    """The output of the norm that a plugin is, in a network."""
    NORMS._adopted[NAME] = adopt_norm(norm, NAME)
    place = Norm(NAME, NormOptions(**options))

    class One(nn.Module):
        @nn.compact
        def __call__(self, x):
            return place("norm1")(x, statistics="batch")

    return One().init_with_output(jax.random.key(0), x)


def rms(x, epsilon):
    return x * jax.lax.rsqrt(jnp.square(x).mean(-1, keepdims=True) + epsilon)


@pytest.mark.parametrize("norm", [rms, nn.RMSNorm])
def test_a_function_and_flaxs_own_are_norms(norm):
    x = np.random.default_rng(0).normal(size=(3, 2, 2, 4)).astype(np.float32)
    y, variables = applied(norm, x, epsilon=0.5)
    assert_allclose(y, x / np.sqrt((x**2).mean(-1, keepdims=True) + 0.5), rtol=1e-5)
    affine = {"norm_scale", "norm_init", "zero_last_scale"}
    of_flax = norm is nn.RMSNorm
    assert NORMS[NAME].reads == {"epsilon", "norm_dense"} | (
        affine if of_flax else set()
    )
    assert NORMS[NAME].blocks is None and not NORMS[NAME].running
    assert set(variables.get("params", {})) == ({"norm1"} if of_flax else set())


def batch(x):
    return x


BAD_NORMS = [
    (
        lambda x: x[..., :2],
        r"its input has shape \(3, 2, 2, 4\), its output \(3, 2, 2, 2",
    ),
    (lambda x: None, "it returns a NoneType, not an array"),
    (lambda x: x + x.missing, "AttributeError: .*missing.* .*test_checks.py:"),
    (lambda x, gamma: x, "needs an argument 'gamma'"),
    (dict, "a norm is a class of flax.linen modules, a function of x or an Entry"),
    (3, "not a int"),
]


@pytest.mark.parametrize("norm, said", BAD_NORMS)
def test_bad_norms(norm, said):
    with (
        mock.patch.dict("normlab.plugins.calls.PLACES", {NAME: Path(__file__)}),
        pytest.raises(UserError, match=said),
    ):
        applied(norm, np.ones((3, 2, 2, 4), np.float32))


def test_a_norm_cannot_look_like_an_own_one():
    with pytest.raises(UserError, match="has a norm of its own called batch; rename"):
        adopt_norm(batch, "my:batch")


def test_an_optimizer_gets_what_it_takes():
    make, reads = adopted_optimizer(optax.sgd, NAME)
    assert reads == {"momentum"}
    params = jnp.array([4.0])
    for mask, decayed in ((None, 4.0), (lambda params: False, 0.0)):
        tx = make(0.5, 0.0, 0.1, mask)
        updates, _ = tx.update(jnp.array([2.0]), tx.init(params), params)
        assert_allclose(np.asarray(updates), [-0.5 * (2 + 0.1 * decayed)], rtol=1e-6)
    _, reads = adopted_optimizer(optax.contrib.muon, NAME)
    assert reads == set()


def test_a_mask_reaches_an_optimizer_with_a_decay_of_its_own():
    make, _ = adopted_optimizer(optax.adamw, NAME)
    params = jnp.array([4.0])
    for mask, decayed in ((None, 4.0), (lambda params: False, 0.0)):
        tx = make(0.5, 0.0, 0.1, mask)
        updates, _ = tx.update(jnp.array([0.0]), tx.init(params), params)
        assert_allclose(np.asarray(updates), [-0.5 * 0.1 * decayed], rtol=1e-6)


def _decays(lr, weight_decay):
    return optax.adamw(lr, weight_decay=weight_decay)


def test_a_mask_that_an_optimizer_cannot_take_is_refused():
    make, _ = adopted_optimizer(_decays, NAME)
    make(0.5, 0.0, 0.1, None)
    with pytest.raises(UserError, match="no mask of the parameters that decay"):
        make(0.5, 0.0, 0.1, lambda params: params)


@pytest.mark.parametrize(
    "optimizer, said",
    [
        (optax.sgd(0.1), "is a function of learning_rate that returns"),
        (lambda momentum: None, "it takes no learning_rate"),
        (lambda lr, nu: None, "needs an argument 'nu'"),
        (lambda lr: 3, "it returns a int, not an optax transformation"),
        (lambda lr: lr.missing, "AttributeError"),
    ],
)
def test_bad_optimizers(optimizer, said):
    with pytest.raises(UserError, match=said):
        adopted_optimizer(optimizer, NAME)[0](jnp.ones(()), 0.0, 0.0, None)


@pytest.mark.parametrize(
    "measure, said",
    [
        (lambda point: 3, "it must return a dict of arrays"),
        (lambda point: {}, "it must return a dict of arrays"),
        (lambda point: {"a": jnp.ones(3)}, r"a has shape \(3,\), not \(\)"),
        (lambda point: {"a": "x"}, "a has shape str"),
        (lambda point: {"step": jnp.ones(())}, "no field can be called 'step'"),
        (lambda point: {"a/b": jnp.ones(())}, "no field can be called 'a/b'"),
        (lambda point: point.nothing, "AttributeError"),
    ],
)
def test_bad_quantities(measure, said):
    with pytest.raises(UserError, match=said):
        checked(measure, NAME, ())(None)  # type: ignore[arg-type]


def test_a_good_quantity_passes():
    fields = {"a": jnp.ones(()), "b": jnp.zeros(())}
    assert checked(lambda point: fields, NAME, ())(None) == fields  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("quantity", "said"),
    [
        (
            Quantity(NOTHING, ("epoch",)),
            "unknown axis 'epoch'; known: eta, layer",
        ),
        (
            Quantity(NOTHING, needs=frozenset({"gpu"})),
            "unknown need 'gpu'; known: lr",
        ),
        (3, "a quantity is a function of a Point, or a Quantity, not a int"),
    ],
)
def test_a_quantity_is_checked_before_it_is_measured(quantity, said):
    with pytest.raises(UserError, match=f"--quantities={NAME}: {said}"):
        adopt_quantity(quantity, NAME)


def test_a_quantity_of_norm_layers_is_left_out_without_them(monkeypatch):
    of_norms = adopt_quantity(Quantity(NOTHING, needs=frozenset({"norm"})), NAME)
    plain = adopt_quantity(NOTHING, "my:other")
    found = {NAME: of_norms, "my:other": plain}
    monkeypatch.setattr(QUANTITIES, "_adopted", found)
    names = (NAME, "my:other", "gradient_norm", "identities")
    assert askable(names, "none", ("none", "batch")) == names[1:3]
    assert askable(names, "batch", ("none", "batch")) == names
    assert askable(names, "none", ("none",)) == names  # and refused later


def test_a_regression_of_ones_own_is_refused():
    data = dataclasses.replace(tiny.dataset(), task="regression")
    for found in (data, lambda: data):
        with pytest.raises(UserError, match=f"--dataset={NAME}: it is a regression; a"):
            adopt_dataset(found, NAME)(None)
