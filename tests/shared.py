"""Fixtures of several packages; the conftest of each imports those that it needs."""

import contextlib

import jax
import pytest

from tests import tiny
from tests.compiled_once import compiled_once


@pytest.fixture(scope="package", autouse=True)
def programs_compiled_once():
    """For all the packages of a process."""
    jax.devices()  # before a command could choose how many there are
    with compiled_once():
        yield


@pytest.fixture(scope="package", autouse=True)
def tiny_by_name():
    """``tiny`` is a model and a dataset, ``quick`` an initialisation."""
    with contextlib.ExitStack() as stack:
        for patch in tiny.models():
            stack.enter_context(patch)
        yield
