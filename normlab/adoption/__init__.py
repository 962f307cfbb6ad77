"""Adopts parameters that something else trained: as a run that says so."""
