"""Runs as one HTML page that needs nothing else: no network, no files beside it."""

from normlab.report.page import FILE, render, write

__all__ = ["FILE", "render", "write"]
