"""Where a batch may be computed in parts, so that a part stays in a CPU's cache."""

from normlab.cell import CellConfig
from normlab.models import widest
from normlab.models.parts import OF_STEP, parts_of
from normlab.norms import NORMS


def by_example(config: CellConfig, statistics: str) -> bool:
    """Whether the output for an image is known to depend on that image alone.

    A network or a norm of one's own may read the batch, also under running averages. So
    does noise, which each evaluation batch draws for itself. Of a network without
    convolutions it is not asked: its batches need no cache.

    Args:
      statistics: those that the network normalizes with, batch or running.
    """
    norm = NORMS[config.norm]
    averages = config.norm in NORMS and norm.running and not config.noise_eval
    read = statistics == "batch" or not averages
    return widest(config.model, config.width) > 0 and (norm.by_example or not read)


def cut_of(config: CellConfig, conv: str) -> int:
    """In how many parts a batch of training is computed.

    That is 1 where an output may depend on the other images. Otherwise the gradient is
    the same up to rounding.

    Args:
      conv: the form of the convolutions. Only with ``direct``, members run one after
        another on a CPU.
    """
    if conv != "direct" or not by_example(config, "batch"):
        return 1
    return parts_of(config.batch_size // config.accumulate, OF_STEP)
