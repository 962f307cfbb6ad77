"""How the members of a sweep are run: an execution and a form of the convolution.

The three executions give the same numbers up to rounding. Which one is fastest depends
on the machine: vmap makes batched matrix products, which suit a GPU; map keeps one
member's parameters and activations in a CPU's cache.
"""

from typing import NamedTuple

from normlab.errors import UserError

# With more channels in its widest layer, one network fills a GPU (docs/speed.md).
_NARROW = 64
# Forms for one member at a time: of all at once they are slow grouped convolutions.
_ALONE = ("direct", "lax")


def choose_execution(
    asked: str, platform: str, channels: int = 0, conv: str = "auto"
) -> tuple[str, str]:
    """(execution, the reason): ``asked``, or for ``auto`` what suits ``platform``.

    Args:
      platform: as `normlab.members.platform` says it.
      channels: those of the network's widest layer; 0 if unknown.
      conv: the form of the convolutions that is asked for.
    """
    if asked != "auto":
        return asked, "as requested"
    if platform == "cpu":
        return "map", "auto: on a CPU, one member at a time stays in cache"
    if conv in _ALONE:
        return "map", f"auto: of all members at once, --conv={conv} is slow"
    if channels > _NARROW and conv == "auto":
        return "map", f"auto: one network of {channels} channels fills a {platform}"
    return "vmap", f"auto: on a {platform}, one batched program fills the device"


def choose_conv(execution: str, platform: str, channels: int = 0) -> str:
    """The form of convolutions (`normlab.models.CONVS`) that suits an execution.

    The primitive becomes a grouped convolution if kernels are mapped over members.

    Args:
      platform: as `normlab.members.platform` says it.
      channels: those of the network's widest layer; 0 if unknown.
    """
    if execution == "vmap":
        narrow = 0 < channels <= _NARROW
        return "pallas" if platform == "gpu" and narrow else "patches"
    return "direct" if platform == "cpu" else "lax"


def suits(conv: str, platform: str) -> bool:
    """Whether a form of convolutions is not far slower than others on a platform."""
    if platform == "cpu":
        return conv not in ("lax", "pallas")
    return conv != "direct" and (conv != "pallas" or platform == "gpu")


class Way(NamedTuple):
    """How members are run.

    Attributes:
      execution: ``vmap``, ``map`` or ``loop``.
      conv: the form of the convolutions.
      at_once: members on the devices at once; 0: as many as fit in memory.
    """

    execution: str
    conv: str
    at_once: int = 0

    def __str__(self) -> str:
        some = f" of {self.at_once}" if self.at_once else ""
        return f"{self.execution}{some} with {self.conv}"

    @classmethod
    def read(cls, text: str) -> "Way":
        """The way of a text that `str` made.

        Raises:
          ValueError: it made no such text.
        """
        run, conv = text.split(" with ")
        execution, _, at_once = run.partition(" of ")
        return cls(execution, conv, int(at_once or 0))


def choose_way(
    execution: str, conv: str, platform: str, channels: int = 0
) -> tuple[Way, str]:
    """(the way, the reason): what is asked for, or for ``auto`` what suits.

    Args:
      channels: those of the network's widest layer; 0 if unknown.

    Raises:
      UserError: members of a seed are to share their images, one after another.
    """
    execution, why = choose_execution(execution, platform, channels, conv)
    if conv == "shared" and execution != "vmap":
        raise UserError(
            f"--conv=shared: members share nothing under {execution}; "
            "--execution=vmap runs them together"
        )
    if conv == "auto":
        conv = choose_conv(execution, platform, channels)
    return Way(execution, conv), why


def candidates(execution: str, conv: str, platform: str) -> tuple[Way, ...]:
    """The ways that may be fastest for some network, within what is asked for."""
    return tuple(
        way
        for way in _WAYS.get(platform, _OTHER_WAYS)
        if execution in ("auto", way.execution) and conv in ("auto", way.conv)
    )


# The primitive is left out where it is a hundred times slower (`models.conv_direct`).
_WAYS = {
    "cpu": (Way("map", "direct"), Way("map", "patches"), Way("vmap", "patches")),
    "gpu": (Way("vmap", "pallas"), Way("map", "lax"), Way("vmap", "patches")),
}
_OTHER_WAYS = Way("vmap", "patches"), Way("vmap", "shared"), Way("map", "lax")
