"""The code of docs/norms.md runs as printed, and computes what it says."""

import re
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from normlab.norms import functional

PAGE = Path(__file__).parents[2] / "docs" / "norms.md"
pytestmark = pytest.mark.skipif(not PAGE.exists(), reason="there is no checkout")


def blocks() -> dict[str, str]:
    text = PAGE.read_text(encoding="utf-8")
    found = re.findall(r"<!-- run: (\S+) -->\n```python\n(.*?)```", text, re.DOTALL)
    assert len(found) == text.count("```python")
    return dict(found)


def run(name: str) -> dict[str, Any]:
    namespace: dict[str, Any] = {"__name__": f"page_{name}"}
    exec(compile(blocks()[name], f"{PAGE.name}: {name}", "exec"), namespace)
    return namespace


def test_the_page_has_all_frameworks():
    assert list(blocks()) == ["functions", "linen", "nnx", "nnx-split", "equinox"]


@pytest.mark.slow
def test_functions():
    found = run("functions")
    x, y = np.asarray(found["x"], np.float64), found["y"]
    groups = x.reshape(8, 5, 5, 4, 4)
    np.testing.assert_allclose(found["mean"], groups.mean((1, 2, 4)), atol=1e-6)
    wanted = (groups - groups.mean((1, 2, 4), keepdims=True)) / np.sqrt(
        groups.var((1, 2, 4), keepdims=True) + 1e-5
    )
    np.testing.assert_allclose(y, wanted.reshape(x.shape), atol=1e-5)
    flat = (x - x.mean((0, 1, 2))) / np.sqrt(x.var((0, 1, 2)) + 1e-5)
    np.testing.assert_allclose(found["same"], flat, atol=1e-5)


def test_linen():
    found = run("linen")
    assert found["y"].shape == (4, 10)
    assert set(found["updates"]) == {"batch_stats"}


def test_nnx():
    found = run("nnx")
    assert found["losses"][-1] < found["losses"][0]
    assert found["y"].shape == (4, 10)


def test_nnx_split():
    found = run("nnx-split")
    x = np.asarray(found["x"], np.float64)
    averages = found["averages"]
    np.testing.assert_allclose(averages["mean"][...], 0.01 * x.mean(0), atol=1e-7)
    var = 0.99 + 0.01 * x.var(0)
    np.testing.assert_allclose(averages["var"][...], var, atol=1e-7)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_equinox():
    pytest.importorskip("equinox")
    found = run("equinox")
    x = found["x"]
    wanted = functional.batch_norm(x, jnp.ones(3), jnp.zeros(3), 1e-5)
    np.testing.assert_allclose(found["y"], wanted.y, atol=1e-6)
    layer, state = found["layer"], found["state"]
    mean, var = state.get(layer.averages)
    np.testing.assert_allclose(mean, 0.01 * wanted.mean, atol=1e-7)
    np.testing.assert_allclose(var, 0.99 + 0.01 * wanted.var, atol=1e-6)
    evaluated, same = jax.vmap(
        lambda one: layer(one, state, train=False), out_axes=(0, None)
    )(x)
    flat = (np.asarray(x) - np.asarray(mean)) / np.sqrt(np.asarray(var) + 1e-5)
    np.testing.assert_allclose(evaluated, flat, atol=1e-5)
    assert jax.tree.leaves(same) is not None
    assert found["z"].shape == (8, 5, 4) and not np.any(found["z"])
