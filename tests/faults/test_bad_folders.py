"""Folders to which CIFAR archives were extracted: read, or refused in one line."""

import contextlib
import os
import pickle
import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from normlab.data.archives import read_archive
from normlab.data.prepare import prepare
from normlab.errors import UserError
from tests.data.conftest import Fake

pytestmark = pytest.mark.faults

PY, BIN, NPM = "cifar-10-batches-py", "cifar-10-batches-bin", "package"
KINDS = {"binary": BIN, "python2": PY, "python3": PY, "sheets": NPM}


@pytest.fixture
def fake(tmp_path) -> Fake:
    (tmp_path / "archives").mkdir()
    return Fake(tmp_path / "archives")


def refused(path: Path, spec, tally) -> str:
    tally["bad folders"] += 1
    with pytest.raises(UserError) as caught:
        read_archive(path, spec)
    message = str(caught.value)
    assert message.startswith(f"{path} is refused: ") and "\n" not in message
    return message


def assert_read(path: Path, fake: Fake) -> None:
    arrays = read_archive(path, fake.spec)
    for name, array in fake.arrays.items():
        np.testing.assert_array_equal(arrays[name], array)


@pytest.mark.parametrize("kind", KINDS)
def test_every_layout_is_read_from_itself_and_from_above(fake, kind):
    folder = fake.extracted(kind)
    assert_read(folder, fake)
    assert_read(folder / KINDS[kind], fake)
    link = fake.folder / "link"
    link.symlink_to(folder, target_is_directory=True)  # the user's own
    assert_read(link, fake)
    renamed = folder.rename(fake.folder / "a folder") / KINDS[kind]
    assert_read(renamed.rename(renamed.with_name("renamed ü")), fake)


def test_what_lies_beside_is_not_looked_at(fake):
    folder = fake.extracted("python2")
    (folder / PY / "batches.meta").write_bytes(pickle.dumps(print))
    (folder / "link").symlink_to("/etc")
    (folder / "cifar-10-python.tar.gz").write_bytes(b"half an archive")
    os.mkfifo(folder / PY / "pipe")
    assert_read(folder, fake)


def test_folders_of_something_else(fake, tmp_path, tally):
    empty = tmp_path / "empty"
    empty.mkdir()
    other = tmp_path / "other"
    (other / PY).mkdir(parents=True)
    (other / "train").write_text("")
    for path in (empty, other, other / PY, Path("/proc/self")):
        message = refused(path, fake.spec, tally)
        assert "a folder with the files of none of the known archives" in message


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_of_each_layout_that_is_missing_or_cut(fake, kind, tally):
    names = [name for name in fake.members(kind) if name.startswith(KINDS[kind])]
    names = [name for name in names if not name.endswith("README.md")]
    for name in names:
        folder = fake.extracted(kind)
        path = folder / name
        whole = path.read_bytes()
        path.unlink()
        assert f"it lacks {name}" in refused(folder, fake.spec, tally)
        path.write_bytes(whole[: len(whole) // 2])
        assert name in refused(folder, fake.spec, tally)
        path.write_bytes(b"")
        assert name in refused(folder / KINDS[kind], fake.spec, tally)


@pytest.mark.parametrize("kind", KINDS)
def test_other_data_of_the_same_form(fake, kind, tally):
    other = Fake(fake.folder)
    other.arrays["test_y"] = 9 - other.arrays["test_y"]
    assert "sha256" in refused(other.extracted(kind), fake.spec, tally)


def test_two_layouts_at_once(fake, tally):
    message = refused(fake.extracted("python2", "binary"), fake.spec, tally)
    assert "contains files of several archives" in message
    flat = fake.extracted("python2")
    shutil.copytree(flat / PY, flat, dirs_exist_ok=True)
    assert f"{PY}/data_batch_1 is in it twice" in refused(flat, fake.spec, tally)


@pytest.mark.parametrize("name", [PY, f"{PY}/test_batch"])
@pytest.mark.parametrize("target", ["same", "/etc/passwd", "/nowhere", "loop"])
def test_links_in_it_are_not_followed(fake, name, target, tally):
    folder = fake.extracted("python2")
    path = folder / name
    moved = path.rename(folder / "moved")
    if target == "loop":
        path.symlink_to(path)
    else:
        path.symlink_to(moved if target == "same" else target)
    assert f"{name} in it is a link" in refused(folder, fake.spec, tally)


def test_what_is_no_plain_file_is_not_opened(fake, tally):
    folder = fake.extracted("python2")
    path = folder / PY / "test_batch"
    path.unlink()
    os.mkfifo(path)
    assert "test_batch in it is not a regular file" in refused(folder, fake.spec, tally)
    path.unlink()
    path.mkdir()
    assert "test_batch in it is not a regular file" in refused(folder, fake.spec, tally)
    path.rmdir()
    with contextlib.chdir(path.parent), socket.socket(socket.AF_UNIX) as bound:
        bound.bind(path.name)
        assert "not a regular file" in refused(folder, fake.spec, tally)


def test_a_file_that_would_fill_the_memory(fake, tally):
    folder = fake.extracted("binary")
    with (folder / BIN / "test_batch.bin").open("r+b") as file:
        file.truncate(2**40)  # of holes
    message = refused(folder, fake.spec, tally)
    assert "test_batch.bin in it is far too large" in message
    with (folder / BIN / "test_batch.bin").open("r+b") as file:
        file.truncate(fake.spec.largest_file)
    assert "bytes" in refused(folder, fake.spec, tally)


def test_a_pickle_in_it_reaches_no_function(fake, tmp_path, tally):
    class Call:
        def __reduce__(self):
            return open, (str(tmp_path / "trace"), "w")

    edit = {f"{PY}/data_batch_1": pickle.dumps({b"data": Call()}, 2)}
    folder = fake.extracted("python2", edit=edit)
    assert "io.open, which is refused" in refused(folder, fake.spec, tally)
    assert not (tmp_path / "trace").exists()


@contextlib.contextmanager
def somebody() -> Iterator[None]:
    """Without root's rights, who may read everything."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


@pytest.mark.parametrize("closed", ["", PY, f"{PY}/test_batch"])
def test_what_may_not_be_read(closed, tally):
    with tempfile.TemporaryDirectory() as place:
        os.chmod(place, 0o755)
        fake = Fake(Path(place))
        folder = fake.extracted("python2")
        path = folder / closed
        path.chmod(0)
        try:
            with somebody():
                message = refused(folder, fake.spec, tally)
                # And one that stands below it.
                below = refused(folder / PY, fake.spec, tally)
        finally:
            path.chmod(0o755)
    assert "cannot be read (Permission denied)" in message
    assert "cannot be read (Permission denied)" in below


def test_a_name_that_is_too_long(fake, tally):
    path = fake.folder / ("x" * 300)
    assert "cannot be read (File name too long)" in refused(path, fake.spec, tally)


def test_a_refused_folder_leaves_nothing_anywhere(fake, tmp_path):
    folder = fake.extracted("binary", edit={f"{BIN}/data_batch_5.bin": None})
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(UserError, match="it lacks .*; fetch it again, or name"):
        prepare(tmp_path / "data", folder, spec=fake.spec, downloads={}, users_roots=())
    assert sorted(tmp_path.rglob("*")) == before
