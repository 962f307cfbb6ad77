"""Parameters that something else stored."""

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
import pytest
from flax import serialization

from normlab import load_params
from normlab.errors import UserError

TREE = {"conv": {"kernel": np.arange(6.0).reshape(2, 3), "bias": np.ones(3)}}


def npz(path):
    np.savez(path / "it.npz", **{f"conv/{k}": v for k, v in TREE["conv"].items()})
    return path / "it.npz"


def msgpack(path):
    (path / "it.msgpack").write_bytes(serialization.to_bytes({"params": TREE}))
    return path / "it.msgpack"


def orbax(path):
    with ocp.PyTreeCheckpointer() as checkpointer:
        checkpointer.save(path / "it", TREE)
    return path / "it"


@pytest.mark.parametrize("write", [npz, msgpack, orbax])
def test_what_was_written_is_read(write, tmp_path):
    path = write(tmp_path)
    like = jax.eval_shape(lambda: jax.tree.map(jnp.float32, TREE))
    found = load_params(path, like)
    jax.tree.map(np.testing.assert_array_equal, found, TREE)
    assert {x.dtype for x in jax.tree.leaves(found)} == {np.dtype("float32")}
    plain = load_params(path)
    plain = plain.get("params", plain)
    jax.tree.map(np.testing.assert_array_equal, plain, TREE)


def test_a_file_that_does_not_fit_is_said(tmp_path):
    path = npz(tmp_path)
    conv = TREE["conv"]
    with pytest.raises(UserError, match="lacks the parameters asked for: dense/kernel"):
        load_params(path, {**TREE, "dense": {"kernel": np.ones(2)}})
    with pytest.raises(UserError, match="has more than .* asked for: conv/bias"):
        load_params(path, {"conv": {"kernel": conv["kernel"]}})
    with pytest.raises(UserError, match=r"conv/bias has the shape \(3,\), not \(2,\)"):
        load_params(path, {"conv": {**conv, "bias": np.ones(2)}})


@pytest.mark.parametrize("name", ["it.npz", "it.msgpack", "folder"])
def test_a_damaged_file_is_said_in_one_line(name, tmp_path):
    path = tmp_path / name
    with pytest.raises(UserError, match="does not exist"):
        load_params(path)
    path.mkdir() if name == "folder" else path.write_bytes(b"\x93nonsense")
    with pytest.raises(UserError, match="cannot be read") as error:
        load_params(path)
    assert "\n" not in str(error.value)
