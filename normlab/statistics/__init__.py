"""Medians with confidence intervals, and summaries of runs."""
