"""The loss around stored points: slices, interpolations, and the plane of the path."""
