"""Speed, side by side with what a user would pick instead.

``python -m normlab.bench`` times steps, in one process; ``python -m
normlab.bench.whole`` times two complete commands. To add a peer: one file in
`normlab.bench.peers` and a line in its `PEERS`.
"""
