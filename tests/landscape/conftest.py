"""The tiny network is known by name, and its programs are compiled once."""

import pytest

from tests.landscape import made
from tests.shared import programs_compiled_once, tiny_by_name  # noqa: F401


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
