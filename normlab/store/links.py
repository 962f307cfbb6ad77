"""Links in a run directory: none may lead out of it, in case others made the run."""

import os
from pathlib import Path

from normlab.errors import UserError
from normlab.store.layout import RunPaths


def check_links(paths: RunPaths) -> None:
    """Checks that the files of the run are really inside its folder.

    Raises:
      UserError: a link in the run leads out of it.
    """
    for folder, folders, files in os.walk(paths.root):
        for name in (*folders, *files):
            path = Path(folder, name)
            if path.is_symlink() and not _target(path).is_relative_to(paths.root):
                raise UserError(
                    f"{path} is a link that leads out of the run; replace it by its "
                    "target, or make the whole run a link"
                )


def _target(path: Path) -> Path:
    try:
        return path.resolve()
    except (OSError, RuntimeError):  # links in a circle
        return Path(os.sep)
