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
    """A checkpoint whose files are damaged; the one before may be sound."""


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
      Unwritable (a UserError): it could not be written (a full disk, say).
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
    """What the disk says, if it was the disk: TensorStore has it in a ValueError."""
    if isinstance(error, OSError):
        return str(error.strerror or error)
    return next((text for text in _DISK if text in str(error)), None)


def load(folder: Path, step: int, like: Any) -> Any:
    """The tree at ``folder/<step>`` as numpy arrays.

    Args:
      like: a tree of arrays or ShapeDtypeStructs, of the expected structure.

    Raises:
      Unreadable (a UserError): the checkpoint is damaged.
      UserError: it is sound, and holds a state of another structure.
    """
    folder = folder.absolute()
    like = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), like)
    if _kinds(shapes(folder, step)) != _kinds(like):
        raise UserError(
            f"{folder / str(step)} holds another state than this version of normlab "
            "keeps; choose another --out, or go on with the version that wrote it"
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
    """Shapes and types of the leaves, in an order that any structure shares."""
    leaves = jax.tree.leaves(tree)
    return sorted((tuple(leaf.shape), str(np.dtype(leaf.dtype))) for leaf in leaves)


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turns what the libraries raise over a damaged file into `Unreadable`.

    Being out of memory or of open files, or not permitted to read, says nothing of
    the file, and is not taken for damage.
    """
    try:
        yield
    except (MemoryError, PermissionError):
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE):
            raise
        # What follows is TensorStore's own account of its files, a paragraph long.
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
    """(step, tree) of the newest sound checkpoint, or None where there is none.

    One that cannot be read is passed over with a warning and set aside as
    ``<step>.unreadable``, so that its step can be saved again and nothing is lost.
    """
    steps = sorted(numbered(folder))
    while steps:
        step = steps.pop()
        try:
            return step, load(folder, step, like)
        except Unreadable as error:
            rest = "there is none before it: falling back to step 0"
            if steps:
                rest = f"falling back to the one before, of step {steps[-1]}"
            _log.warning("%s; %s", error, rest)
            aside = folder / f"{step}.unreadable"
            shutil.rmtree(aside, ignore_errors=True)
            (folder / str(step)).rename(aside)
    return None
