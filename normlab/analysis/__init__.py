"""Measures quantities along the path of a run, after the run."""
