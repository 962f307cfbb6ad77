"""Programs compiled once a session, and data that every test of speed shares."""

from unittest import mock

import jax
import pytest
from jax.experimental.compilation_cache import compilation_cache

from normlab.data import DATASETS
from normlab.models import INITS
from tests.bench.small import images
from tests.tiny import QUICK


@pytest.fixture(scope="package", autouse=True)
def _compiled_once(tmp_path_factory):
    names = {
        "jax_compilation_cache_dir": str(tmp_path_factory.mktemp("compiled")),
        "jax_persistent_cache_min_compile_time_secs": 0.0,
    }
    old = {name: getattr(jax.config, name) for name in names}
    for name, value in names.items():
        jax.config.update(name, value)
    compilation_cache.reset_cache()
    yield
    for name, value in old.items():
        jax.config.update(name, value)
    compilation_cache.reset_cache()


@pytest.fixture(scope="package", autouse=True)
def _started_quickly():
    with mock.patch.dict(INITS, standard=QUICK):
        yield


@pytest.fixture(scope="package")
def dataset():
    found = images()
    with mock.patch.dict(DATASETS, {found.name: lambda folder: found}):
        yield found
