"""Runs a function of one member over many: in chunks that fit in memory, over devices.

A member is whatever a leading axis counts: networks of a sweep, or points of a
landscape. This package knows about neither.
"""
