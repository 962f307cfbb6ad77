"""Prepares JAX in the process that computes."""

from pathlib import Path

import jax

from normlab import data
from normlab.members.placement import use_cores
from normlab.run_options import RunOptions
from normlab.sweep.deterministic import make_deterministic


def make_ready(options: RunOptions, devices: str) -> None:
    """Sets up devices and the cache of compiled programs, before the first array.

    Args:
      devices: how many devices a CPU counts as, in the form of ``--devices``.
    """
    if options.deterministic:
        make_deterministic()
    use_cores(devices)
    if not options.dry_run:
        _use_compilation_cache(options)


def cache_folder(options: RunOptions) -> Path | None:
    """The folder of compiled programs; None if they are not kept."""
    folder = options.compilation_cache
    if folder == "none":
        return None
    if folder == "auto":
        return data.data_dir(options.data_dir or None) / "compiled"
    try:
        return Path(folder).expanduser()
    except RuntimeError:  # no home
        return None


def _use_compilation_cache(options: RunOptions) -> None:
    """Keeps compiled programs for later starts, which then compile nothing."""
    path = cache_folder(options)
    if path is None:
        return
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError:
        return  # a read-only home costs the cache, not the run
    jax.config.update("jax_compilation_cache_dir", str(path))
    # By default JAX leaves out programs that compile in under a second, like
    # evaluations.
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)
