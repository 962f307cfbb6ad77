"""Orbax checkpoints of whole cells, verified by digest when they are read."""

import hashlib
import logging
import shutil
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp

from normlab.errors import UserError
from normlab.store.layout import numbered

_log = logging.getLogger("normlab")


def _digest(tree: Any) -> np.ndarray:
    """sha256 of all leaves with their paths, types and shapes: uint8 (32,)."""
    digest = hashlib.sha256()
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        array = np.asarray(leaf)
        name = f"{jax.tree_util.keystr(path)} {array.dtype} {array.shape}"
        digest.update(name.encode())
        # As bytes: an array of bfloat16 offers no buffer.
        digest.update(np.ascontiguousarray(array).view(np.uint8).data)
    return np.frombuffer(digest.digest(), np.uint8).copy()


def save(folder: Path, step: int, tree: Any, *, keep: int | None) -> None:
    """Writes ``tree`` (arrays) as ``folder/<step>`` and waits until it is whole.

    Args:
      keep: how many of the newest to keep; None keeps all.

    Raises:
      UserError: it could not be written (a full disk, say).
    """
    folder = folder.absolute()  # Orbax refuses relative paths
    tree = jax.tree.map(np.asarray, tree)
    options = ocp.CheckpointManagerOptions(
        max_to_keep=keep, create=True, enable_async_checkpointing=False
    )
    item = {"tree": tree, "digest": _digest(tree)}
    try:
        with ocp.CheckpointManager(folder, options=options) as manager:
            done = manager.save(step, args=ocp.args.StandardSave(item), force=True)
    except OSError as error:
        reason = error.strerror or error
        raise UserError(f"cannot write {folder / str(step)}: {reason}") from error
    if not done:
        raise UserError(f"cannot write {folder / str(step)}: Orbax did not save it")


def load(folder: Path, step: int, like: Any) -> Any:
    """The tree at ``folder/<step>`` as numpy arrays.

    Args:
      like: a tree of arrays or ShapeDtypeStructs, of the expected structure.

    Raises:
      UserError: the checkpoint is damaged, or of another structure.
    """
    folder = folder.absolute()
    like = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), like)
    target = {"tree": like, "digest": np.zeros(32, np.uint8)}
    options = ocp.CheckpointManagerOptions(read_only=True)
    try:
        with ocp.CheckpointManager(folder, options=options) as manager:
            found = manager.restore(step, args=ocp.args.StandardRestore(target))
    # Whatever a damaged file makes the libraries below raise, it is damaged.
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"{folder / str(step)} cannot be read: {reason}") from error
    found = jax.tree.map(np.asarray, found)
    tree = found["tree"]
    # Orbax keeps to the structure and the types of its target, but not its shapes.
    if [x.shape for x in jax.tree.leaves(tree)] != [
        x.shape for x in jax.tree.leaves(like)
    ]:
        raise UserError(f"{folder / str(step)} cannot be read: other shapes are there")
    if not np.array_equal(_digest(tree), found["digest"]):
        raise UserError(f"{folder / str(step)} is damaged: its digest differs")
    return tree


def shapes(folder: Path, step: int) -> Any:
    """The tree at ``folder/<step>`` as shapes and types: a ``like`` for `load`.

    Raises:
      UserError: the checkpoint is damaged.
    """
    folder = folder.absolute()
    options = ocp.CheckpointManagerOptions(read_only=True)
    handler = ocp.StandardCheckpointHandler()
    try:
        with ocp.CheckpointManager(
            folder, options=options, item_handlers=handler
        ) as manager:
            return manager.item_metadata(step)["tree"]
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"{folder / str(step)} cannot be read: {reason}") from error


def load_newest(folder: Path, like: Any) -> tuple[int, Any] | None:
    """(step, tree) of the newest sound checkpoint, or None where there is none.

    One that cannot be read is passed over with a warning and set aside as
    ``<step>.unreadable``, so that its step can be saved again and nothing is lost.
    """
    for step in sorted(numbered(folder), reverse=True):
        try:
            return step, load(folder, step, like)
        except UserError as error:
            _log.warning("%s; falling back to the one before", error)
            aside = folder / f"{step}.unreadable"
            shutil.rmtree(aside, ignore_errors=True)
            (folder / str(step)).rename(aside)
    return None
