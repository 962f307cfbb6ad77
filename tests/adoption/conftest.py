"""The tiny network is known by name, and its programs are compiled once."""

from tests.shared import programs_compiled_once, tiny_by_name  # noqa: F401
