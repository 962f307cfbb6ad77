"""Reads parameters that something else than normlab stored."""

import zipfile
from pathlib import Path
from typing import Any

import jax
import numpy as np

from normlab.errors import UserError, one_line
from normlab.quantities.leaves import leaves_of


def load_params(path: str | Path, like: Any = None) -> Any:
    """Parameters from a file: an Orbax folder, Flax's msgpack, or NumPy's npz.

    Args:
      path: a folder that Orbax wrote; a ``.npz`` file with an array for each parameter,
        called by its path (``conv1/kernel``); or any other file, as msgpack.
      like: parameters of the structure and the shapes that are wanted (arrays or
        ``jax.eval_shape``'s result). Leaves are matched by their paths, and get the
        types of ``like``.

    Returns:
      A tree like ``like``; without it, nested dicts of numpy arrays.

    Raises:
      UserError: the file cannot be read, or a leaf of ``like`` is missing, has another
        shape, or has a counterpart that ``like`` lacks.
    """
    path = Path(path)
    if not path.exists():
        raise UserError(f"{path} does not exist")
    read = _orbax if path.is_dir() else _npz if path.suffix == ".npz" else _msgpack
    try:
        tree = read(path)
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        raise UserError(f"{path} cannot be read: {one_line(error)}") from error
    return tree if like is None else matched(tree, like, str(path))


def _npz(path: Path) -> Any:
    tree: dict[str, Any] = {}
    with np.load(path, allow_pickle=False) as file:
        for name in file.files:
            *folders, last = name.split("/")
            node = tree
            for folder in folders:
                node = node.setdefault(folder, {})
            node[last] = file[name]
    return tree


def _msgpack(path: Path) -> Any:
    from flax import serialization

    tree = serialization.msgpack_restore(path.read_bytes())
    if not isinstance(tree, dict):
        raise ValueError("it is not msgpack of a tree of arrays")
    return tree


def _orbax(path: Path) -> Any:
    import orbax.checkpoint as ocp

    with ocp.PyTreeCheckpointer() as checkpointer:
        tree = checkpointer.restore(path.resolve())
    return jax.tree.map(np.asarray, tree)


def matched(tree: Any, like: Any, name: str) -> Any:
    """The leaves of ``tree`` in the structure, the shapes and the types of ``like``.

    Raises:
      UserError: a leaf is missing, superfluous or of another shape. The message calls
        the tree ``name``.
    """
    stored = dict(
        zip((leaf.path for leaf in leaves_of(tree)), jax.tree.leaves(tree), strict=True)
    )
    wanted = [leaf.path for leaf in leaves_of(like)]
    missing = [path for path in wanted if path not in stored]
    more = [path for path in stored if path not in wanted]
    if missing or more:
        what, names = ("lacks", missing) if missing else ("has more than", more)
        words = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
        raise UserError(f"{name} {what} the parameters asked for: {words}")
    leaves, structure = jax.tree.flatten(like)
    for path, leaf in zip(wanted, leaves, strict=True):
        if np.shape(stored[path]) != np.shape(leaf):
            raise UserError(
                f"{name}: {path} has the shape {np.shape(stored[path])}, not "
                f"{np.shape(leaf)}"
            )
    values = [
        np.asarray(stored[path], leaf.dtype)
        for path, leaf in zip(wanted, leaves, strict=True)
    ]
    return jax.tree.unflatten(structure, values)
