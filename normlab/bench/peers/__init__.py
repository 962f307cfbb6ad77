"""The alternatives to normlab that are timed, by name.

To add a peer, add a file with ``why_not`` and ``VARIANTS``, and a line in `PEERS`.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from normlab.bench.contender import Contender
from normlab.bench.peers import (
    flax_conv,
    flax_vmap,
    torch_compiled,
    torch_eager,
    torch_ensemble,
    torch_graph,
)
from normlab.bench.task import Task
from normlab.errors import UserError


class Peer(NamedTuple):
    """A peer in `PEERS`.

    Attributes:
      why_not: returns why the peer cannot run here, in a few words, or None.
      variants: name -> makes the contender, for each way in which a user could write
        it. The fastest counts. The name is "" if there is only one.
    """

    why_not: Callable[[], str | None]
    variants: Mapping[str, Callable[[Task], Contender]]


PEERS: dict[str, Peer] = {
    "torch_eager": Peer(torch_eager.why_not, torch_eager.VARIANTS),
    "torch_ensemble": Peer(torch_ensemble.why_not, torch_ensemble.VARIANTS),
    "torch_compiled": Peer(torch_compiled.why_not, torch_compiled.VARIANTS),
    "torch_graph": Peer(torch_graph.why_not, torch_graph.VARIANTS),
    "flax_conv": Peer(flax_conv.why_not, flax_conv.VARIANTS),
    "flax_vmap": Peer(flax_vmap.why_not, flax_vmap.VARIANTS),
}


def find_peers(names: Sequence[str]) -> dict[str, Peer]:
    """The entries of `PEERS` with the given names, or with ``all`` or ``none`` alone.

    Raises:
      UserError: a name is unknown.
    """
    if tuple(names) == ("all",):
        return dict(PEERS)
    if tuple(names) == ("none",):
        return {}
    for name in names:
        if name not in PEERS:
            known = ", ".join(PEERS)
            raise UserError(f"--peers={name}: unknown; known: all, none, {known}")
    return {name: PEERS[name] for name in names}
