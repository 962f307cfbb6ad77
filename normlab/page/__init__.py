"""Runs as one HTML page that needs nothing else: no network, no files beside it."""

from normlab.page.document import FILE, render, write

__all__ = ["FILE", "render", "write"]
