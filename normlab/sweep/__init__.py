"""A sweep: from the axes of a flagfile to finished cells in a run directory."""
