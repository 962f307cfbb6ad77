"""Programs compiled once for all tests of the package."""

import pytest

from tests.compiled_once import compiled_once


@pytest.fixture(scope="package", autouse=True)
def _compiled_once(tmp_path_factory):
    with compiled_once(str(tmp_path_factory.mktemp("compiled"))):
        yield
