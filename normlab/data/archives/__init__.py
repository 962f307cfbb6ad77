"""Reads published archives, or folders extracted from them. Nothing is trusted.

To add a kind, write a file with a `Kind`, and a line in KINDS.
"""

from pathlib import Path

from normlab.data.archives import binary, folder, idx, pickled, sheets, tar
from normlab.data.archives.kind import Kind, NoArchive
from normlab.data.spec import Arrays, Spec
from normlab.errors import UserError

__all__ = ["KINDS", "Kind", "NoArchive", "read_archive"]

KINDS: dict[str, tuple[Kind, ...]] = {
    "cifar": (binary.KIND, pickled.KIND, sheets.KIND),
    "idx": (idx.KIND,),
}
"""The kinds of archives, by the `Spec.form` of the dataset."""


def read_archive(path: Path, spec: Spec) -> Arrays:
    """The arrays of an archive, in the published order, checked by digest.

    The contents determine the kind, not the name. A folder into which an archive was
    extracted can be read as well, and so can a folder that contains such a folder.

    Raises:
      UserError: the archive is missing, truncated, altered or of an unknown kind, or
        contains anything that the published archives do not (links, paths that lead
        out, members that are far too large, pickles of anything but arrays).
    """
    try:
        return _read(path, spec)
    except UserError as error:
        said = f"{path} is refused: {error}{_size(path, spec)}"
        raise type(error)(said) from error


def _size(path: Path, spec: Spec) -> str:
    """A note on a file's size, if its name is that of a published archive."""
    for kind in KINDS[spec.form]:
        if path.name == kind.archive and kind.size and path.is_file():
            size = path.stat().st_size
            if size != kind.size:
                return f"; it has {size} bytes, and the published archive {kind.size}"
    return ""


def _read(path: Path, spec: Spec) -> Arrays:
    kinds = {member: kind for kind in KINDS[spec.form] for member in kind.members(spec)}
    try:
        is_folder = path.is_dir()
    except OSError as error:
        raise NoArchive(f"it cannot be read ({error.strerror})") from error
    read_members = folder.read_members if is_folder else tar.read_members
    members = read_members(path, frozenset(kinds), spec)
    found_kinds = {kinds[member] for member in members}
    if not found_kinds:
        names = ", ".join(kind.archive for kind in KINDS[spec.form])
        what = "a folder with the files of none" if is_folder else "none"
        raise NoArchive(f"it is {what} of the known archives ({names})")
    if len(found_kinds) > 1:
        raise UserError("it contains files of several archives")
    kind = found_kinds.pop()
    missing = [name for name in kind.members(spec) if name not in members]
    if missing and not kind.alternatives:
        raise UserError(f"it lacks {missing[0]}")
    arrays = kind.decode(members, spec)
    fault = spec.fault(arrays)
    if fault:
        raise UserError(fault)
    return arrays
