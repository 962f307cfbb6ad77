"""Medians with their intervals, and what they say of a run."""
