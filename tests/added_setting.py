"""What follows from two settings that were only declared, in a copy of normlab.

`tests.test_new_entries` makes the copy and runs this in a process of its own.
"""

import contextlib
import dataclasses
import io
import json

import jax
import jax.numpy as jnp
import pytest
from absl import flags

from normlab.cell import CellConfig
from normlab.claims.compare import SHARED
from normlab.config import STATIC_AXES, SweepConfig
from normlab.errors import UserError
from normlab.flags import define, read, run, write
from normlab.norms import NORMS
from normlab.serialize import from_dict, to_json
from normlab.sweep.grid import describe, expand
from normlab.train.network import build_norm

# Of a run that was stored before the settings came; `tests.test_config` has it, too.
STORED = "digits-small_cnn-group4-b10-b7c8e5c3"


def parsed(*words: str) -> SweepConfig:
    values = flags.FlagValues()
    define(SweepConfig, values)
    values(["sweep", *words])
    return read(SweepConfig, values)


def check_flag() -> None:
    values, out = flags.FlagValues(), io.StringIO()
    define(SweepConfig, values)
    with contextlib.redirect_stdout(out), contextlib.suppress(SystemExit):
        run(lambda values: 0, values, program="p", doc="", argv=["--help"])
    assert "  --blur  Made up (static axis).\n      default: '0.0'" in out.getvalue()
    assert "  --mode  Made up: slow, fast (static axis)." in out.getvalue()
    config = parsed("--steps=5", "--blur=0,0.5", "--mode=fast")
    assert (config.blur, config.mode) == ((0.0, 0.5), ("fast",))
    again = flags.FlagValues()
    define(SweepConfig, again)
    assert read(SweepConfig, again(["p", *write(config)]) and again) == config
    for word, said in [
        ("--blur=-1", "--blur=-1.0: must be 0 or more, and finite"),
        ("--blur=1", "--blur=1.0: must be below 1"),
        ("--blur=1e-46", "--blur=1e-46: it is 0 in float32"),
        ("--blur=0.5,0.5", "--blur names 0.5 twice"),
        ("--mode=odd", "--mode=odd: unknown; known: slow, fast"),
    ]:
        with pytest.raises(UserError) as caught:
            parsed("--steps=5", word)
        assert said in str(caught.value), caught.value


def check_identity() -> None:
    from tests.cells import cell_config

    cell = cell_config(norm="group", groups=4, steps=7, eval_every=3)
    assert (cell.id, cell.blur, cell.mode) == (STORED, 0.0, "slow")
    others = [cell, *(dataclasses.replace(cell, **x) for x in CHANGES)]
    assert len({other.id for other in others}) == len(others)
    values = json.loads(to_json(cell))
    older = {k: v for k, v in values.items() if k not in ("blur", "mode")}
    assert from_dict(CellConfig, older) == from_dict(CellConfig, values) == cell


CHANGES = ({"blur": 0.5}, {"mode": "fast"})


def check_plan() -> None:
    assert {"blur", "mode"} <= set(STATIC_AXES)
    words = "--steps=5", "--norm=none,batch", "--blur=0,0.5", "--mode=slow,fast"
    cells = [cell.config for cell in expand(parsed(*words), {"digits": 100})]
    found = [(cell.norm, cell.blur, cell.mode) for cell in cells]
    modes, blurs = ("slow", "fast"), (0.0, 0.5)
    batch = [("batch", blur, mode) for blur in blurs for mode in modes]
    assert sorted(found) == sorted([("none", 0.0, mode) for mode in modes] + batch)
    names = {describe(cell, tuple(cells)) for cell in cells}
    assert "batch, blur 0.5, mode fast" in names and len(names) == len(cells)


def check_claims() -> None:
    """Sides share what is not of the norm alone."""
    assert "mode" in SHARED and "blur" not in SHARED


def check_use() -> None:
    """The norm is given what was asked for; a layer that uses it differs."""
    assert "blur" in NORMS["batch"].reads and "blur" not in NORMS["group"].reads
    from tests.cells import cell_config

    x, outputs = jnp.arange(12.0).reshape(6, 2), []
    for blur in (0.0, 0.5):
        norm = build_norm(cell_config(norm="batch", blur=blur))
        assert norm.options.blur == blur

        def apply(x, norm=norm):
            from flax import linen as nn

            class Model(nn.Module):
                @nn.compact
                def __call__(self, x):
                    return norm("norm1")(x, statistics="batch")

            return Model().init_with_output(jax.random.key(0), x)[0]

        outputs.append(apply(x))
    assert jnp.allclose(outputs[1], 0.5 * outputs[0])


if __name__ == "__main__":
    for check in (check_flag, check_identity, check_plan, check_claims, check_use):
        check()
        print(check.__name__)
