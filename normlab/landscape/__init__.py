"""The loss around points of a run: slices, interpolations, the path's own plane."""
