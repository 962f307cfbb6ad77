"""Where the data lives."""

import os
from pathlib import Path

from normlab.errors import UserError


def data_dir(flag: str | os.PathLike | None = None) -> Path:
    """The data folder, absolute; it need not exist.

    It is the first of these that is set and not empty: ``flag`` (``--data_dir``), the
    environment variable NORMLAB_DATA_DIR, and ``normlab`` in the user's cache
    (XDG_CACHE_HOME, or ``~/.cache``).
    """
    chosen = flag or os.environ.get("NORMLAB_DATA_DIR")
    if not chosen:
        chosen = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "normlab"
    try:
        return Path(chosen).expanduser().absolute()
    except RuntimeError as error:  # ~nobody
        raise UserError(f"cannot use the folder {str(chosen)!r}: {error}") from None
