"""Programs compiled once for all tests of the package, and a tiny model by name."""

from tests.shared import programs_compiled_once, tiny_by_name  # noqa: F401
