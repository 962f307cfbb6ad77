"""Makes the cache of a dataset once, from the first source that has the data."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from normlab.data import cache
from normlab.data.spec import CIFAR10, Arrays, Spec
from normlab.data.workspace import workspace
from normlab.errors import UserError


def prepare(
    root: Path,
    archive: Path | None = None,
    *,
    spec: Spec = CIFAR10,
    downloads: Mapping[str, Callable[[Path], Path]] | None = None,
    users_roots: Sequence[Path] | None = None,
) -> None:
    """Makes ``root/<name>/*.npy``. Returns at once if they exist.

    Prints a line for each stage. A failure changes nothing on disk.

    Args:
      root: the data folder.
      archive: an archive of a kind in `normlab.data.archives.KINDS`, or a folder into
        which one was extracted.
      spec: what the data must be.
      downloads: what to try if this machine has no data; by default
        `sources.DOWNLOADS` of the dataset.
      users_roots: folders in which tfds keeps prepared datasets; by default its own.

    Raises:
      UserError: no source has the data, the archive is refused, or the disk is full
        or cannot be written.
    """
    folder = root / spec.name
    if cache.is_intact(folder, spec):
        unread = f"; {archive} was not read" if archive else ""
        print(f"{spec.name} is already prepared in {folder}{unread}")
        return
    try:
        # Imported only now: prepared data must be usable without these libraries.
        from normlab.data import sources, tfds_folder
    except ImportError as error:
        raise UserError(
            f"preparing needs {error.name}, which is not installed: "
            "pip install tensorflow-datasets pillow array_record importlib_resources"
        ) from error
    if downloads is None:
        downloads = sources.DOWNLOADS[spec.name]
    if users_roots is None:
        users_roots = tfds_folder.users_roots()
    try:
        with workspace(root) as work:
            candidates = sources.sources(
                root, archive, spec, work, downloads, users_roots
            )
            source, arrays = sources.first_arrays(candidates, spec)
            with sources.stage("writing the cache"):
                built = tfds_folder.find(work / "tfds", spec)
                _install(root, built, source, arrays, spec, work)
    except OSError as error:
        reason = error.strerror or error
        raise UserError(f"{root} cannot be written ({reason})") from error
    print(f"{spec.name} is prepared in {folder}, from {source}")


def _install(
    root: Path, built: Path | None, source: str, arrays: Arrays, spec: Spec, work: Path
) -> None:
    """Writes the cache, and moves the tfds folder into place if one was built."""
    cache.write(root / spec.name, arrays, spec, source, work)
    if built is None:
        return
    target = root / "tfds" / spec.name / built.name
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists():  # unusable, or it would have been the source
        os.replace(target, work / "replaced")
    os.replace(built, target)
