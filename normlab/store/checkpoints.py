"""Orbax checkpoints of whole cells, verified by digest when they are read."""

import contextlib
import errno
import hashlib
import logging
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp

from normlab.errors import Unwritable, UserError, one_line
from normlab.store.layout import numbered
from normlab.store.quiet import quiet

_log = logging.getLogger("normlab")
_DISK = tuple(
    os.strerror(number)
    for number in (
        errno.ENOSPC,
        errno.EDQUOT,
        errno.EFBIG,
        errno.EROFS,
        errno.EACCES,
        errno.EIO,
    )
)
quiet()


class Unreadable(UserError):
    """A checkpoint is damaged. The one before it may be sound."""


def _digest(tree: Any) -> np.ndarray:
    """sha256 of all leaves with their paths, types and shapes: uint8 (32,)."""
    digest = hashlib.sha256()
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        array = np.asarray(leaf)
        name = f"{jax.tree_util.keystr(path)} {array.dtype} {array.shape}"
        digest.update(name.encode())
        # As bytes, because an array of bfloat16 has no buffer.
        digest.update(np.ascontiguousarray(array).view(np.uint8).data)
    return np.frombuffer(digest.digest(), np.uint8).copy()


def save(folder: Path, step: int, tree: Any, *, keep: int | None) -> None:
    """Writes ``tree`` (arrays) as ``folder/<step>`` and waits until it is complete.

    Args:
      keep: how many of the newest checkpoints to keep; None keeps all.

    Raises:
      Unwritable (a UserError): it could not be written; the disk is full, for example.
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
    except Exception as error:
        for half in folder.glob(f"{step}.orbax-checkpoint-tmp*"):
            shutil.rmtree(half, ignore_errors=True)  # it may be what fills the disk
        reason = _disk_reason(error)
        if reason is None:
            raise
        raise Unwritable(f"cannot write {folder / str(step)}: {reason}") from error
    if not done:
        raise Unwritable(f"cannot write {folder / str(step)}: Orbax did not save it")


def _disk_reason(error: Exception) -> str | None:
    """The disk's error message, if the disk failed. TensorStore raises a ValueError."""
    if isinstance(error, OSError):
        return str(error.strerror or error)
    return next((text for text in _DISK if text in str(error)), None)


def load(folder: Path, step: int, like: Any) -> Any:
    """The tree at ``folder/<step>`` as numpy arrays.

    Args:
      like: a tree of arrays or ShapeDtypeStructs with the expected structure.

    Raises:
      Unreadable (a UserError): the checkpoint is damaged.
      UserError: the checkpoint is sound, but its state has another structure.
    """
    folder = folder.absolute()
    like = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), like)
    if _kinds(shapes(folder, step)) != _kinds(like):
        raise UserError(
            f"{folder / str(step)} contains another kind of state than this version of "
            "normlab uses; choose another --out, or use the version that wrote it"
        )
    target = {"tree": like, "digest": np.zeros(32, np.uint8)}
    options = ocp.CheckpointManagerOptions(read_only=True)
    with _reading(folder / str(step)):
        with ocp.CheckpointManager(folder, options=options) as manager:
            restored = manager.restore(step, args=ocp.args.StandardRestore(target))
        restored = jax.tree.map(np.asarray, restored)
    if not np.array_equal(_digest(restored["tree"]), restored["digest"]):
        raise Unreadable(f"{folder / str(step)} is damaged: its digest differs")
    return restored["tree"]


def _kinds(tree: Any) -> list[tuple]:
    """The shapes and types of the leaves, sorted, whatever the tree's structure."""
    leaves = jax.tree.leaves(tree)
    return sorted((tuple(leaf.shape), str(np.dtype(leaf.dtype))) for leaf in leaves)


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turns the libraries' errors about a damaged file into `Unreadable`.

    An error about memory, open files or permissions says nothing about the file, so it
    does not count as damage.
    """
    try:
        yield
    except (MemoryError, PermissionError):
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE):
            raise
        # The rest is TensorStore's description of its files, a paragraph long.
        reason = one_line(error).partition(": ")[0][:80]
        raise Unreadable(f"{path} cannot be read: {reason}") from error


def shapes(folder: Path, step: int) -> Any:
    """The tree at ``folder/<step>`` as shapes and types: a ``like`` for `load`.

    Raises:
      Unreadable (a UserError): the checkpoint is damaged.
    """
    folder = folder.absolute()
    options = ocp.CheckpointManagerOptions(read_only=True)
    handler = ocp.StandardCheckpointHandler()
    with (
        _reading(folder / str(step)),
        ocp.CheckpointManager(
            folder, options=options, item_handlers=handler
        ) as manager,
    ):
        return manager.item_metadata(step)["tree"]


def load_newest(folder: Path, like: Any) -> tuple[int, Any] | None:
    """(step, tree) of the newest sound checkpoint, or None if there is none.

    An unreadable checkpoint is skipped with a warning and renamed to
    ``<step>.unreadable``. So its step can be saved again, and nothing is lost.
    """
    steps = sorted(numbered(folder))
    while steps:
        step = steps.pop()
        try:
            return step, load(folder, step, like)
        except Unreadable as error:
            rest = "there is no earlier one: falling back to step 0"
            if steps:
                rest = f"falling back to the earlier one of step {steps[-1]}"
            _log.warning("%s; %s", error, rest)
            aside = folder / f"{step}.unreadable"
            shutil.rmtree(aside, ignore_errors=True)
            (folder / str(step)).rename(aside)
    return None
