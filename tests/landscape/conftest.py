"""The tiny network is known by name, and its programs are compiled once."""

import contextlib

import jax
import pytest

from tests.compiled_once import compiled_once
from tests.landscape import made


@pytest.fixture(scope="package", autouse=True)
def _compiled_once(tmp_path_factory):
    jax.devices()  # before a command could choose how many there are
    with compiled_once(str(tmp_path_factory.mktemp("compiled"))):
        yield


@pytest.fixture(scope="package", autouse=True)
def _tiny():
    with contextlib.ExitStack() as stack:
        for patch in made.models():
            stack.enter_context(patch)
        yield


@pytest.fixture(scope="package")
def clean(tmp_path_factory):
    """A run without landscapes; not to be written to."""
    cells = (made.cell(norm) for norm in made.NORMS)
    return made.write_run(tmp_path_factory.mktemp("clean") / "run", *cells)


@pytest.fixture(scope="package")
def run(clean, tmp_path_factory):
    """The same, in which tests leave landscapes that others may find."""
    return made.copy_run(clean, tmp_path_factory.mktemp("shared"))


@pytest.fixture
def copy(clean, tmp_path):
    """The same, for one test."""
    return made.copy_run(clean, tmp_path)
