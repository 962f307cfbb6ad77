"""Programs compiled once for all tests of the package."""

from tests.shared import programs_compiled_once  # noqa: F401
