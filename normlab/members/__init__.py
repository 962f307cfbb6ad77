"""Running a function of one member over many: in chunks that fit memory, over devices.

A member is whatever a leading axis counts: networks of a sweep, or points of a
landscape. Nothing here knows of either.
"""
