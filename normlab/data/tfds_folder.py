"""Finds, builds and reads prepared tensorflow-datasets folders.

This works without TensorFlow. tensorflow-datasets reads ``array_record`` files through
`as_data_source`, and it can write them if the images are Pillow images (it would encode
NumPy images with TensorFlow).
"""

import contextlib
import json
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from PIL import Image

from normlab.data.archives.png import pixels
from normlab.data.spec import Arrays, Spec
from normlab.errors import UserError

_SPLITS = ("train", "test")
_READ_AT_ONCE = 1000
_FEATURES = "tensorflow_datasets.core.features."


def find(root: Path, spec: Spec) -> Path | None:
    """The newest ``root/<name>/<version>`` with array_record files for both splits."""
    folders = [path.parent for path in root.glob(f"{spec.name}/*/dataset_info.json")]
    whole = [
        folder
        for folder in folders
        if all(any(folder.glob(f"*-{split}.array_record*")) for split in _SPLITS)
    ]
    return max(whole, default=None)


def users_roots() -> list[Path]:
    """Where the user's own prepared datasets should be, by tfds's conventions."""
    named = os.environ.get("TFDS_DATA_DIR")
    roots = [named] if named else []
    return [Path(root).expanduser() for root in (*roots, "~/tensorflow_datasets")]


def build(arrays: Arrays, spec: Spec, root: Path) -> Path:
    """Prepares ``root/<name>/<version>`` with tfds's own Cifar10 builder.

    A subclass of the builder takes its examples from ``arrays``; it is not registered.
    Keys, ids, shuffling, shards and metadata are those of tfds, so
    ``tfds.data_source("cifar10", data_dir=root)`` reads the folder.

    Raises:
      OSError: the disk is full.
    """
    stock = tfds.image_classification.Cifar10

    class Cifar10(stock, skip_registration=True):
        pkg_dir_path = stock.pkg_dir_path
        __module__ = stock.__module__  # dataset_info.json names the stock module

        def _split_generators(self, dl_manager):
            del dl_manager  # nothing to download
            features: Any = self.info.features
            features["label"].names = list(spec.classes)
            return {split: self._generate_examples(split) for split in _SPLITS}

        def _generate_examples(self, split):
            pairs = zip(arrays[f"{split}_x"], arrays[f"{split}_y"], strict=True)
            for index, (image, label) in enumerate(pairs):
                example = {
                    "id": f"{split}_{index:05d}",
                    "image": Image.fromarray(image),
                    "label": int(label),
                }
                yield index, example

    with _quiet():
        builder = Cifar10(data_dir=str(root))
        try:
            builder.download_and_prepare(
                file_format="array_record",
                download_dir=str(root / "downloads"),
                download_config=tfds.download.DownloadConfig(try_download_gcs=False),
            )
        except RuntimeError as error:  # array_record raises it for any failed write
            raise OSError(str(error)) from error
    return Path(builder.data_dir)


def read(folder: Path, spec: Spec) -> Arrays:
    """The arrays of a prepared folder, sorted by tfds id: the published order.

    Raises:
      UserError: the folder cannot be read, or contains other data.
    """
    try:
        _check_features(folder / "features.json")
        with _quiet():
            builder: Any = tfds.builder_from_directory(str(folder))
            arrays: Arrays = {}
            for split in _SPLITS:
                x, y = _read_split(_source(builder, split), split, spec)
                arrays |= {f"{split}_x": x, f"{split}_y": y}
    # A folder with another layout or with damaged files can fail anywhere in tfds.
    except Exception as error:
        raise UserError(f"{folder} cannot be read ({error})") from error
    fault = spec.fault(arrays)
    if fault:
        raise UserError(f"{folder} contains other data than published: {fault}")
    return arrays


def _check_features(path: Path) -> None:
    """Raises an error if tfds would import anything but its own features to read it.

    tfds imports any module that the file names, even one in the working directory.
    """

    def admitted(entry: dict) -> dict:
        name = entry.get("pythonClassName", _FEATURES)
        if not (isinstance(name, str) and name.startswith(_FEATURES)):
            raise UserError(f"{path.name} names {name!r}")
        return entry

    json.loads(path.read_text(encoding="utf-8"), object_hook=admitted)


def _source(builder: Any, split: str) -> Any:
    """The examples of a split with images still encoded: `pixels` checks their size."""
    skip = {"image": tfds.decode.SkipDecoding()}
    return builder.as_data_source(split=split, decoders=skip)


def _read_split(source: Any, split: str, spec: Spec) -> tuple[np.ndarray, np.ndarray]:
    count = spec.shape(f"{split}_y")[0]
    if len(source) != count:
        raise UserError(f"{split} has {len(source)} examples, not {count}")
    height, width, _ = spec.image_shape
    ids = []
    x = np.empty((count, *spec.image_shape), np.uint8)
    y = np.empty(count, np.uint8)
    for start in range(0, count, _READ_AT_ONCE):
        places = range(start, min(start + _READ_AT_ONCE, count))
        for place, example in zip(places, source.__getitems__(places), strict=True):
            ids.append(example["id"])
            x[place] = pixels("an image", example["image"], width, height)
            y[place] = example["label"]
    order = np.argsort(ids)
    return x[order], y[order]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """No progress bars, and no advice to install OpenCV."""
    logger = logging.getLogger("absl")
    level = logger.level
    tfds.disable_progress_bar()
    logger.setLevel(logging.ERROR)
    try:
        # tfds prints the path of a temporary folder, which the user need not know.
        with (
            open(os.devnull, "w", encoding="utf-8") as nowhere,
            contextlib.redirect_stdout(nowhere),
        ):
            yield
    finally:
        logger.setLevel(level)
