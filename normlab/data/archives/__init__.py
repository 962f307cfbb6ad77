"""CIFAR archives, or folders of what was in them -> arrays. Nothing in them is trusted.

To add a kind: a file with a `Kind`, and a line in KINDS.
"""

from pathlib import Path

from normlab.data.archives import binary, folder, pickled, sheets, tar
from normlab.data.archives.kind import Kind, NoArchive
from normlab.data.spec import Arrays, Spec
from normlab.errors import UserError

__all__ = ["KINDS", "Kind", "NoArchive", "read_archive"]

KINDS: tuple[Kind, ...] = (binary.KIND, pickled.KIND, sheets.KIND)


def read_archive(path: Path, spec: Spec) -> Arrays:
    """The arrays of an archive, in the published order, checked by digest.

    The kind is told by what the archive contains, not by its name. A folder into which
    one was extracted, or that has such a folder in it, is read alike.

    Raises:
      UserError: not there, truncated, altered, of no known kind, or with anything
        in it that the published archives do not have (links, paths that lead out,
        members far too large, pickles of other things than arrays).
    """
    try:
        return _read(path, spec)
    except UserError as error:
        said = f"{path} is refused: {error}{_size(path)}"
        raise type(error)(said) from error


def _size(path: Path) -> str:
    """How many bytes a file has, if its name is that of an archive that has others."""
    for kind in KINDS:
        if path.name == kind.archive and kind.size and path.is_file():
            size = path.stat().st_size
            if size != kind.size:
                return f"; it has {size} bytes, and the published archive {kind.size}"
    return ""


def _read(path: Path, spec: Spec) -> Arrays:
    kinds = {member: kind for kind in KINDS for member in kind.members(spec)}
    try:
        is_folder = path.is_dir()
    except OSError as error:
        raise NoArchive(f"it cannot be read ({error.strerror})") from error
    read_members = folder.read_members if is_folder else tar.read_members
    members = read_members(path, frozenset(kinds), spec)
    found_kinds = {kinds[member] for member in members}
    if not found_kinds:
        names = ", ".join(kind.archive for kind in KINDS)
        what = "a folder with the files of none" if is_folder else "none"
        raise NoArchive(f"it is {what} of the known archives ({names})")
    if len(found_kinds) > 1:
        raise UserError("it mixes the files of several archives")
    kind = found_kinds.pop()
    missing = [name for name in kind.members(spec) if name not in members]
    if missing:
        raise UserError(f"{missing[0]} is missing in it")
    arrays = kind.decode(members, spec)
    fault = spec.fault(arrays)
    if fault:
        raise UserError(fault)
    return arrays
