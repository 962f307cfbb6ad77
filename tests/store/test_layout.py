"""Files are whole or absent, and junk in a folder is not mistaken for data."""

import errno
import os
from pathlib import Path

import pytest

from normlab.errors import UserError
from normlab.store.layout import (
    RunPaths,
    check_writable,
    exists,
    is_temporary,
    numbered,
    read_json,
    replacing,
    write_json,
    write_text,
)


def names(folder: Path) -> set[str]:
    return {entry.name for entry in folder.iterdir()}


def test_a_file_is_replaced_whole(tmp_path):
    path = tmp_path / "deep" / "file.txt"
    write_text(path, "old ü")
    with replacing(path) as temporary:
        temporary.write_text("new")
        assert path.read_text(encoding="utf-8") == "old ü"
        assert temporary.parent == path.parent and is_temporary(temporary)
    assert path.read_text() == "new"
    assert names(path.parent) == {"file.txt"}


@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt])
def test_an_error_leaves_the_old_file(tmp_path, kind):
    path = tmp_path / "file.txt"
    write_text(path, "old")

    def fails():
        with replacing(path) as temporary:
            temporary.write_text("half")
            raise kind

    with pytest.raises(kind):
        fails()
    assert path.read_text() == "old"
    assert names(tmp_path) == {"file.txt"}


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_full_disk_is_one_line_and_loses_nothing(tmp_path, monkeypatch, call):
    path = tmp_path / "file.txt"
    write_text(path, "old")

    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, call, full)
    with pytest.raises(UserError, match=r"cannot write .*file\.txt: No space left"):
        write_text(path, "new")
    assert path.read_text() == "old"
    assert names(tmp_path) == {"file.txt"}


def test_data_is_on_the_disk_before_the_name(tmp_path, monkeypatch):
    order = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda fd: (order.append("fsync"), fsync(fd)))
    monkeypatch.setattr(
        os, "replace", lambda a, b: (order.append("replace"), replace(a, b))
    )
    write_text(tmp_path / "file.txt", "x")
    assert order == ["fsync", "replace", "fsync"]  # the data, then the name


def test_a_file_in_place_of_the_folder(tmp_path):
    (tmp_path / "folder").write_text("a file")
    with pytest.raises(UserError, match=r"cannot write .*folder/file\.txt: "):
        write_text(tmp_path / "folder" / "file.txt", "x")
    for name in ("folder", "folder/below"):
        with pytest.raises(UserError, match=f"{name}: a file is in its place"):
            check_writable(tmp_path / name / "file.txt")
    (tmp_path / "file.txt").mkdir()
    with pytest.raises(UserError, match=r"file\.txt is a folder"):
        check_writable(tmp_path / "file.txt")


def test_a_folder_that_can_be_written_is_made_and_stays_empty(tmp_path):
    for _ in range(2):
        check_writable(tmp_path / "new" / "folder" / "file.txt")
        assert names(tmp_path / "new" / "folder") == set()


def test_json(tmp_path):
    path = tmp_path / "x.json"
    write_json(path, {"a": [1, "ü"]})
    assert read_json(path) == {"a": [1, "ü"]}


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[1]", b"\xff\xfe", b'{"a": 1}}', b"null"]
)
def test_damaged_json_is_named(tmp_path, content):
    path = tmp_path / "x.json"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"x\.json is damaged"):
        read_json(path)


def test_missing_json_is_named(tmp_path):
    with pytest.raises(UserError, match=r"cannot read .*x\.json: No such file"):
        read_json(tmp_path / "x.json")


def test_numbered_ignores_junk(tmp_path):
    for name in (
        "part-00000010.parquet",
        "part-00000002.parquet",
        "part-3.parquet",
        "part-00000010.parquet.tmp",
        ".part-00000011.parquet.77.tmp",
        "part-.parquet",
        "part--5.parquet",
        "part-+5.parquet",
        "part- 5.parquet",
        "part-٣.parquet",
        "part-².parquet",
        "part-1e3.parquet",
        "part-5.PARQUET",
        "apart-5.parquet",
        "5",
    ):
        (tmp_path / name).touch()
    found = numbered(tmp_path, "part-", ".parquet")
    assert list(found) == [2, 3, 10]
    assert found[10].name == "part-00000010.parquet"
    assert list(numbered(tmp_path)) == [5]


def test_numbered_of_a_short_name(tmp_path):
    (tmp_path / "ab").touch()
    assert numbered(tmp_path, "ab", "b") == {}


def test_numbered_where_there_is_no_folder(tmp_path):
    assert numbered(tmp_path / "none") == {}


def test_a_run_is_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert RunPaths.at("runs/../x").root == tmp_path / "x"
    monkeypatch.setenv("HOME", str(tmp_path))
    assert RunPaths.at("~/x").root == tmp_path / "x"


@pytest.mark.parametrize("name", ["~no_such_user_here/x", "a\0b"])
def test_a_folder_that_cannot_be(name):
    with pytest.raises(UserError, match="cannot use the folder"):
        RunPaths.at(name)


def test_links_in_a_circle(tmp_path):
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    with pytest.raises(UserError, match="cannot use"):
        exists(RunPaths.at(tmp_path / "a" / "x").sweep)


def test_exists(tmp_path):
    assert exists(tmp_path)
    assert not exists(tmp_path / "x")
    (tmp_path / "file").touch()
    assert not exists(tmp_path / "file" / "x")
    with pytest.raises(UserError, match="cannot use .*name too long"):
        exists(tmp_path / ("x" * 300))
