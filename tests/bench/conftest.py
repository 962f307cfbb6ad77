"""Programs compiled once a session, and data that every test of speed shares."""

from unittest import mock

import pytest

from normlab.data import DATASETS
from normlab.models import INITS
from tests.bench.small import images
from tests.shared import programs_compiled_once  # noqa: F401
from tests.tiny import QUICK


@pytest.fixture(scope="package", autouse=True)
def _started_quickly():
    with mock.patch.dict(INITS, standard=QUICK):
        yield


@pytest.fixture(scope="package")
def dataset():
    found = images()
    with mock.patch.dict(DATASETS, {found.name: lambda folder: found}):
        yield found
