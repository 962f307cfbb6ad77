"""Runs as one self-contained HTML page, which needs no network and no other files."""

from normlab.page.document import FILE, render, write

__all__ = ["FILE", "render", "write"]
