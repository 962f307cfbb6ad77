"""Reads chosen files from a folder into which an archive was extracted."""

import functools
import stat
from pathlib import Path, PurePosixPath

from normlab.data.spec import Spec
from normlab.errors import UserError


def read_members(path: Path, wanted: frozenset[str], spec: Spec) -> dict[str, bytes]:
    """The contents of the wanted members that exist.

    ``path`` is the folder with the extracted files, or the folder that contains that
    one. It may be a link, because the user named it; links inside it are not followed.
    Other files in it are ignored.

    Raises:
      UserError: a member cannot be read, is not a regular file, is far too large, or
        occurs twice.
    """
    contents: dict[str, bytes] = {}
    content_of = functools.cache(functools.partial(_content, path, spec.largest_file))
    for name in sorted(wanted):
        member = PurePosixPath(name)
        for inside in {member, PurePosixPath(member.name)}:
            content = content_of(inside)
            if content is None:
                continue
            if name in contents:
                raise UserError(f"{name} is in it twice")
            contents[name] = content
    return contents


def _content(path: Path, most: int, inside: PurePosixPath) -> bytes | None:
    """The bytes of a file, or None if it does not exist."""
    try:
        for step in (*reversed(inside.parents[:-1]), inside):
            if (path / step).is_symlink():
                raise UserError(f"{step} in it is a link, which is not followed")
        if not stat.S_ISREG((path / inside).lstat().st_mode):
            raise UserError(f"{inside} in it is not a regular file")
        with (path / inside).open("rb") as file:
            content = file.read(most + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        reason = error.strerror or error
        raise UserError(f"{inside} in it cannot be read ({reason})") from error
    if len(content) > most:
        raise UserError(f"{inside} in it is far too large: more than {most} bytes")
    return content
