"""Compares normlab's speed with the alternatives that a user has.

``python -m normlab.bench`` times training steps in one process. ``python -m
normlab.bench.whole`` times two complete commands. To add a peer, add a file to
`normlab.bench.peers` and a line to its `PEERS`.
"""
