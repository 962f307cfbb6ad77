"""Every source ends in the same cache; a failure leaves everything as it was."""

import errno
import logging
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow_datasets as tfds

from normlab.data import cache, cifar10, tfds_folder
from normlab.data.prepare import prepare
from normlab.errors import UserError


def never(folder: Path) -> Path:
    raise AssertionError("this source must not be asked")


def unreachable(folder: Path) -> Path:
    (folder / "half").write_bytes(b"half an archive")
    raise UserError("no route to host")


def run(fake, root, archive=None, downloads=None, users_roots=()) -> None:
    """`prepare` on the fake data, closed off from network and home folder."""
    prepare(
        root,
        archive,
        spec=fake.spec,
        downloads={"a download": never} if downloads is None else downloads,
        users_roots=users_roots,
    )


def tree(folder: Path) -> dict[str, bytes]:
    files = folder.rglob("*")
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else b""
        for path in files
    }


def assert_prepared(fake, root) -> None:
    dataset = cifar10.load(root, fake.spec)
    for name, array in fake.arrays.items():
        np.testing.assert_array_equal(getattr(dataset, name), array)
    assert dataset.classes[3] == "cat"
    assert not list(root.glob(".prepare-*"))


@pytest.mark.parametrize("kind", ["binary", "python2", "sheets"])
def test_from_an_archive(fake, tmp_path, kind, capsys):
    root = tmp_path / "data"
    run(fake, root, fake.archive(kind))
    assert_prepared(fake, root)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" ... ")[0].split()[0] for line in lines] == [
        "reading",
        "building",
        "reading",
        "writing",
        "cifar10",
    ]
    assert all(line.endswith(" s") for line in lines[:-1])


@pytest.mark.faults
@pytest.mark.parametrize("named", [".", "cifar-10-batches-py", "..", "whole"])
def test_from_an_extracted_folder(fake, tmp_path, named, capsys, monkeypatch):
    folder = fake.extracted("python2")
    before = tree(folder)
    here = folder / "cifar-10-batches-py" if named == ".." else folder
    monkeypatch.chdir(here)
    path = folder if named == "whole" else Path(named)
    run(fake, tmp_path / "data", path)
    assert_prepared(fake, tmp_path / "data")
    assert tree(folder) == before
    out = capsys.readouterr().out
    assert out.startswith(f"  reading {path.name or '.'} ... ")
    assert out.endswith(f"from {path}\n")


def test_without_array_record(fake, tmp_path, monkeypatch):
    """As on Windows: the arrays go straight to the cache."""
    monkeypatch.setitem(sys.modules, "array_record", None)
    root = tmp_path / "data"
    run(fake, root, fake.archive())
    assert_prepared(fake, root)
    assert [path.name for path in root.iterdir()] == ["cifar10"]


def test_the_folder_is_what_tfds_reads(fake, tmp_path):
    run(fake, tmp_path / "data", fake.archive())
    source: Any = tfds.data_source(
        "cifar10", split="train", data_dir=str(tmp_path / "data/tfds"), download=False
    )
    examples = {example["id"].decode(): example for example in source}
    assert sorted(examples) == [f"train_{index:05d}" for index in range(20)]
    for index in (0, 7, 19):
        example = examples[f"train_{index:05d}"]
        np.testing.assert_array_equal(example["image"], fake.arrays["train_x"][index])
        assert example["label"] == fake.arrays["train_y"][index]


def test_the_second_call_returns_at_once(fake, tmp_path, capsys):
    root = tmp_path / "data"
    run(fake, root, fake.archive())
    before = tree(root)
    capsys.readouterr()
    run(fake, root, tmp_path / "not-even-there.tgz")
    out = capsys.readouterr().out
    assert "already prepared" in out and "not read" in out
    assert tree(root) == before


def test_from_the_tfds_folder_under_the_data_folder(fake, tmp_path):
    root = tmp_path / "data"
    run(fake, root, fake.archive())
    shutil.rmtree(root / "cifar10")
    run(fake, root)
    assert_prepared(fake, root)


def test_from_a_tfds_folder_of_the_users(fake, tmp_path):
    home = tmp_path / "tensorflow_datasets"
    tfds_folder.build(fake.arrays, fake.spec, home)
    before = tree(home)
    run(fake, tmp_path / "data", users_roots=(tmp_path / "nowhere", home))
    assert_prepared(fake, tmp_path / "data")
    assert tree(home) == before


def test_users_roots_follow_tfds(monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", "/some/where")
    monkeypatch.setenv("HOME", "/home/someone")
    assert tfds_folder.users_roots() == [
        Path("/some/where"),
        Path("/home/someone/tensorflow_datasets"),
    ]


@pytest.mark.parametrize("damage", ["cut", "other data"])
def test_an_unusable_tfds_folder_is_passed_over_and_replaced(
    fake, tmp_path, capsys, damage
):
    root = tmp_path / "data"
    if damage == "cut":
        folder = tfds_folder.build(fake.arrays, fake.spec, root / "tfds")
        (file,) = folder.glob("*-test.array_record*")
        file.write_bytes(file.read_bytes()[:100])
    else:
        others = {**fake.arrays, "test_y": 9 - fake.arrays["test_y"]}
        tfds_folder.build(others, fake.spec, root / "tfds")
    run(fake, root, fake.archive())
    assert_prepared(fake, root)
    assert "not usable" in capsys.readouterr().out
    shutil.rmtree(root / "cifar10")
    run(fake, root)  # the folder that replaced it is good
    assert_prepared(fake, root)


def test_downloads_are_tried_in_order(fake, tmp_path, capsys):
    def reachable(folder: Path) -> Path:
        return Path(shutil.copy(fake.archive("sheets"), folder / "copy.tgz"))

    root = tmp_path / "data"
    downloads = {"the first": unreachable, "the second": reachable, "third": never}
    run(fake, root, downloads=downloads)
    assert_prepared(fake, root)
    assert sorted(path.name for path in root.iterdir()) == ["cifar10", "tfds"]
    out = capsys.readouterr().out
    assert "fetching the first ... failed\n  not usable: no route to host\n" in out
    assert out.endswith("from the second\n")


def test_a_bad_download_falls_through(fake, tmp_path):
    def portal(folder: Path) -> Path:
        (folder / "cifar.tgz").write_text("<html>log in first</html>")
        return folder / "cifar.tgz"

    with pytest.raises(
        UserError, match="truncated or altered.*no route to host.*--arc"
    ):
        downloads = {"one": portal, "two": unreachable}
        run(fake, tmp_path / "data", downloads=downloads)
    assert not (tmp_path / "data").exists()


def test_nothing_anywhere(fake, tmp_path):
    with pytest.raises(UserError, match="nothing was found.*--archive="):
        run(fake, tmp_path / "data", downloads={})


@pytest.mark.parametrize("there", [False, True])
def test_a_refused_archive_leaves_nothing_behind(fake, tmp_path, there):
    root = tmp_path / "some" / "data"
    if there:
        root.mkdir(parents=True)
        (root / "mine.txt").write_text("keep me")
    path = fake.archive()
    path.write_bytes(path.read_bytes()[:-100])
    before = tree(tmp_path)
    with pytest.raises(UserError, match="truncated or altered.*--archive="):
        run(fake, root, path)
    assert tree(tmp_path) == before


def test_a_full_disk_leaves_nothing_behind(fake, tmp_path, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    archive = fake.archive()
    before = tree(tmp_path)
    monkeypatch.setattr(np, "save", full)
    with pytest.raises(UserError, match="cannot be written .No space left"):
        run(fake, tmp_path / "data", archive)
    assert tree(tmp_path) == before


def test_a_full_disk_while_tfds_writes(fake, tmp_path, monkeypatch):
    # array_record says RuntimeError for what is an OSError elsewhere.
    def full(*args, **kwargs):
        raise RuntimeError("write() failed: No space left on device")

    archive = fake.archive()
    before = tree(tmp_path)
    builder = tfds.core.GeneratorBasedBuilder
    monkeypatch.setattr(builder, "_download_and_prepare", full)
    with pytest.raises(UserError, match="cannot be written .*No space left"):
        run(fake, tmp_path / "data", archive)
    assert tree(tmp_path) == before


def test_a_data_folder_that_cannot_be(fake, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written .Not a directory"):
        run(fake, tmp_path / "file" / "data", fake.archive())


def test_a_damaged_cache_is_made_again(fake, tmp_path):
    root = tmp_path / "data"
    run(fake, root, fake.archive())
    (root / "cifar10" / "train_x.npy").write_bytes(b"")
    with pytest.raises(UserError, match="--prepare=cifar10"):
        cifar10.load(root, fake.spec)
    run(fake, root)
    assert_prepared(fake, root)


def test_an_interrupted_write_counts_as_not_prepared(fake, tmp_path, monkeypatch):
    root = tmp_path / "data"
    run(fake, root, fake.archive())
    replace = os.replace

    def stop(source, target):
        if Path(target).name == "test_y.npy":
            raise KeyboardInterrupt
        replace(source, target)

    (root / "work").mkdir()
    monkeypatch.setattr(os, "replace", stop)
    with pytest.raises(KeyboardInterrupt):
        cache.write(root / "cifar10", fake.arrays, fake.spec, "a test", root / "work")
    assert not cache.is_there(root / "cifar10")
    with pytest.raises(UserError, match="not prepared"):
        cifar10.load(root, fake.spec)


def test_tfds_is_quiet_and_the_log_level_is_restored(fake, tmp_path, capfd, caplog):
    level = logging.getLogger("absl").level
    run(fake, tmp_path / "data", fake.archive())
    assert logging.getLogger("absl").level == level
    out, err = capfd.readouterr()
    assert err == ""
    assert "Downloading" not in out and len(out.splitlines()) == 5
    assert not caplog.records
