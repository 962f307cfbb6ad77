"""Estimates with confidence intervals, tests, and summaries of runs."""
