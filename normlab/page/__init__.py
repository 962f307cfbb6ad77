"""Runs as an HTML page, which needs no network."""

from normlab.page.document import FILE, render, write

__all__ = ["FILE", "render", "write"]
