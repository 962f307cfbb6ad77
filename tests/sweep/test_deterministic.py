"""--deterministic: what the environment could change, and what XLA is told."""

import os
import subprocess
import sys

import numpy as np
import pytest

from normlab.store import load

OPEN = {"JAX_DEFAULT_PRNG_IMPL": "rbg", "JAX_THREEFRY_PARTITIONABLE": "0"}


def losses(folder, *flags: str, **environment: str) -> np.ndarray:
    """The losses of two members after a start of the command."""
    command = [
        *(sys.executable, "-m", "normlab.sweep", f"--out={folder}", "--steps=3"),
        *("--width=0.25", "--eval_every=3", "--train_eval_size=20", "--num_seeds=2"),
        *("--norm=batch", "--lr=0.1", "--optimizer=sgd", "--batch_size=5", *flags),
    ]
    told = ("XLA_FLAGS", *OPEN)
    clean = {k: v for k, v in os.environ.items() if k not in told}
    subprocess.run(command, env=clean | environment, check=True, capture_output=True)
    return load(folder)["batch_loss"].dropna().to_numpy()


@pytest.mark.slow
def test_the_environment_changes_no_bit(tmp_path):
    plain = losses(tmp_path / "plain", "--devices=1")
    assert len(plain) == 6 and len(set(plain)) == 6
    # As it would, were it let.
    assert (losses(tmp_path / "other", "--devices=1", **OPEN) != plain).any()
    told = ["--deterministic", "--devices=1"]
    np.testing.assert_array_equal(losses(tmp_path / "a", *told, **OPEN), plain)
    # Nor do devices, and chunks of members.
    more = ["--deterministic", "--devices=2", "--member_chunk=1"]
    np.testing.assert_array_equal(losses(tmp_path / "b", *more), plain)


PROGRAM = """
import os
from normlab.sweep.deterministic import make_deterministic
make_deterministic()
print(os.environ["XLA_FLAGS"])
import jax
jax.devices()
"""


@pytest.mark.parametrize(
    "before", ["", "--xla_gpu_deterministic_ops=false --xla_cpu_enable_fast_math=false"]
)
def test_xla_is_told_and_knows_the_flag(before):
    """It ends the process at a flag that it does not know."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=os.environ | {"XLA_FLAGS": before},
        capture_output=True,
        text=True,
        check=True,
    )
    flags = done.stdout.split()
    assert flags.count("--xla_gpu_deterministic_ops=true") == 1
    assert set(flags) >= {x for x in before.split() if "deterministic" not in x}
    assert not any(x.endswith("ops=false") for x in flags)
    unknown = os.environ | {"XLA_FLAGS": "--xla_gpu_deterministic_opz=true"}
    command = [sys.executable, "-c", "import jax; jax.devices()"]
    assert subprocess.run(command, env=unknown, capture_output=True).returncode != 0
