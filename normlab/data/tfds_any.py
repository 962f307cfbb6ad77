"""``--dataset=tfds:NAME``: any prepared tensorflow-datasets folder of labelled images.

The folder must have array_record files, which can be read without TensorFlow. It is
searched in the data folder and in the user's own tfds folders. A sweep never fetches or
prepares anything; ``python -m normlab.data --prepare=tfds:NAME`` does, by the dataset's
own builder in tensorflow-datasets.
"""

import contextlib
import functools
import io
import re
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from normlab.data.adopted import from_arrays
from normlab.data.dataset import Dataset
from normlab.data.folders import data_dir
from normlab.errors import UserError, one_line
from normlab.plugins import calling

# mnist, mnist:3.0.1, cats/small, cats/small:1.0.0
_NAME = re.compile(
    r"(?P<name>\w+)(/(?P<config>[\w.-]+))?(:(?P<version>\d+\.\d+\.\d+))?"
)
_TEST_SPLITS = ("test", "validation")
_READ_AT_ONCE = 1000


def entry(text: str, name: str) -> tuple[Any, dict[str, Any]]:
    """The entry of ``tfds:NAME``, which may have a config and a version.

    Raises:
      UserError: the name could not be that of a dataset.
    """
    _parts(text, name)
    return functools.partial(_load, text, name), {}


def _parts(text: str, name: str) -> dict[str, str | None]:
    match = _NAME.fullmatch(text)
    if match is None:
        raise UserError(
            f"--dataset={name}: write tfds:NAME, tfds:NAME/CONFIG or tfds:NAME:VERSION"
        )
    return match.groupdict()


def _load(text: str, name: str, folder: Path | None) -> Dataset:
    """The arrays of the prepared folder, in the order of its files.

    Raises:
      UserError: it is not prepared, or is not one of images of one size with labels.
    """
    with calling("dataset", name):  # a damaged folder can fail anywhere in tfds
        root = data_dir() if folder is None else folder
        return from_arrays(name, _read(_find(text, name, root), name))


def _find(text: str, name: str, root: Path) -> Path:
    """The newest version of the dataset that is prepared with array_record files."""
    from normlab.data.tfds_folder import users_roots

    parts = _parts(text, name)
    where = [root / "tfds", root, *users_roots()]
    below = [p for p in (parts["name"], parts["config"]) if p]
    others: set[str] = set()
    for base in where:
        folder = base.joinpath(*below)
        versions = [p.parent for p in folder.glob("*/dataset_info.json")]
        for version in sorted(versions, key=_version, reverse=True):
            if parts["version"] not in (None, version.name):
                continue
            if any(version.glob("*.array_record*")):
                return version
            others.add(str(version))
    hint = f"; python -m normlab.data --prepare={name} prepares it, once"
    if others:
        hint = f" ({min(others)} has no array_record files){hint}"
    raise UserError(f"--dataset={name}: it is not prepared{hint}")


def _version(folder: Path) -> tuple[int, ...]:
    words = folder.name.split(".")
    return tuple(int(w) for w in words if w.isdigit())


def _read(folder: Path, name: str) -> dict[str, Any]:
    import tensorflow_datasets as tfds

    from normlab.data import tfds_folder

    says = f"--dataset={name}"
    tfds_folder._check_features(folder / "features.json")
    with tfds_folder._quiet():
        builder: Any = tfds.builder_from_directory(str(folder))
        features = builder.info.features
        image = _only(says, features, "Image")
        label = _only(says, features, "ClassLabel")
        splits = list(builder.info.splits)
        tests = [split for split in _TEST_SPLITS if split in splits]
        if "train" not in splits or not tests:
            raise UserError(
                f"{says}: it needs the splits train and test (or validation), and has "
                f"{', '.join(splits)}"
            )
        arrays: dict[str, Any] = {"classes": features[label].names}
        for ours, theirs in (("train", "train"), ("test", tests[0])):
            source = builder.as_data_source(
                split=theirs, decoders={image: tfds.decode.SkipDecoding()}
            )
            channels = features[image].shape[-1]
            x, y = _split(says, source, image, label, channels)
            arrays |= {f"{ours}_x": x, f"{ours}_y": y}
    return arrays


def _only(says: str, features: Any, kind: str) -> str:
    """The name of the only feature of a kind."""
    names = [k for k in features if type(features[k]).__name__ == kind]
    if len(names) != 1:
        raise UserError(
            f"{says}: a dataset needs one feature of the kind {kind}, and it has "
            f"{', '.join(names) or 'none'}"
        )
    return names[0]


def _split(
    says: str, source: Sequence[Any], image: str, label: str, channels: int
) -> tuple[np.ndarray, np.ndarray]:
    from PIL import Image

    x: np.ndarray | None = None
    y = np.empty(len(source), np.int64)
    for start in range(0, len(source), _READ_AT_ONCE):
        places = range(start, min(start + _READ_AT_ONCE, len(source)))
        examples: Any = source.__getitems__(places)  # type: ignore[attr-defined]
        for place, example in zip(places, examples, strict=True):
            with (
                warnings.catch_warnings(action="error"),  # of decompression bombs
                Image.open(io.BytesIO(example[image])) as picture,
            ):
                pixels = np.asarray(picture.convert("L" if channels == 1 else "RGB"))
            pixels = pixels.reshape(*pixels.shape[:2], -1)
            if x is None:
                x = np.empty((len(source), *pixels.shape), np.uint8)
            if pixels.shape != x.shape[1:]:
                raise UserError(
                    f"{says}: its images have several sizes, like {pixels.shape} and "
                    f"{x.shape[1:]}; networks need one"
                )
            x[place], y[place] = pixels, example[label]
    if x is None:
        raise UserError(f"{says}: a split has no examples")
    return x, y


def prepare(name: str, root: Path, archive: Path | None) -> Path:
    """Prepares ``tfds:NAME`` in ``root/tfds``, by the dataset's own builder.

    Args:
      archive: the folder with the files that the builder would download, or one of
        them; nothing is downloaded then. Without it, the builder downloads them.

    Returns:
      The prepared folder.

    Raises:
      UserError: tensorflow-datasets has no such dataset, or its builder fails.
    """
    import tensorflow_datasets as tfds

    from normlab.data import tfds_folder

    text = name.removeprefix("tfds:")
    _parts(text, name)
    manual = archive if archive is None or archive.is_dir() else archive.parent
    says = f"--prepare={name}"
    config = tfds.download.DownloadConfig(manual_dir=manual, try_download_gcs=False)
    try:
        with tfds_folder._quiet(), _downloading(says, manual):
            builder: Any = tfds.builder(
                text, data_dir=str(root / "tfds"), try_gcs=False
            )
            builder.download_and_prepare(
                file_format="array_record",
                download_dir=str(root / "tfds" / "downloads"),
                download_config=config,
            )
    except UserError:
        raise
    # Builders are many, and fail in as many ways.
    except Exception as error:
        hint = ""
        if isinstance(error, ImportError) and "tensorflow" in str(error):
            hint = ". Its builder needs the package tensorflow"
        reason = f"{type(error).__name__}: {one_line(error)}"
        raise UserError(f"{says}: its builder failed: {reason}{hint}") from error
    return Path(builder.data_dir)


@contextlib.contextmanager
def _downloading(says: str, archive: Path | None) -> Iterator[None]:
    """Inside of this, builders download nothing if there is an ``archive`` folder.

    Raises:
      UserError: a builder wants a file that is not in the folder.
    """
    from tensorflow_datasets.core.download import downloader

    usual = downloader._Downloader.download

    def refuse(self: Any, url: str, *args: Any, **kwargs: Any) -> Any:
        name = url.rpartition("/")[2]
        raise UserError(f"{says}: --archive={archive} lacks {name}")

    if archive is not None:
        downloader._Downloader.download = refuse
    try:
        yield
    finally:
        downloader._Downloader.download = usual
