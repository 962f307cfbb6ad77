"""What follows from two settings that were only declared, in a copy of normlab.

`tests.test_new_entries` makes the copy and runs this in a process of its own.
"""

import contextlib
import io
import json
from typing import Any

import jax
import jax.numpy as jnp
import pytest
from absl import flags
from flax import linen as nn

from normlab.cell import CellConfig
from normlab.claims.compare import SHARED
from normlab.config import SweepConfig
from normlab.errors import UserError
from normlab.flags import define, read, run, write
from normlab.serialize import from_dict, to_json
from normlab.sweep.grid import describe, expand
from normlab.train.network import build_norm
from tests.cells import cell_config

# Of a cell stored before the settings came; `tests.test_config` has it, too.
STORED = "digits-small_cnn-group4-b10-b7c8e5c3"


def flag_values(*words: str) -> flags.FlagValues:
    values = flags.FlagValues()
    define(SweepConfig, values)
    values(["sweep", *words])
    return values


def parsed(*words: str) -> Any:
    return read(SweepConfig, flag_values("--steps=5", *words))


def cell(**changes: Any) -> Any:
    stored = {"norm": "group", "groups": 4, "steps": 7, "eval_every": 3}
    return cell_config(**stored | changes)


def check_flag_and_help() -> None:
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.suppress(SystemExit):
        run(lambda values: 0, flag_values(), program="p", doc="", argv=["--helpfull"])
    assert "  --blur=0.0  Made up. [static]\n" in out.getvalue()
    assert "  --mode=slow  Made up. Known: slow, fast. [static]" in out.getvalue()
    config = parsed("--blur=0,0.5", "--mode=fast")
    assert (config.blur, config.mode) == ((0.0, 0.5), ("fast",))
    assert parsed(*write(config)) == config


def check_wrong_values() -> None:
    for word, said in [
        ("--blur=-1", "--blur=-1.0: must be 0 or more, and finite"),
        ("--blur=1", "--blur=1.0: must be below 1"),
        ("--blur=1e-46", "--blur=1e-46: it is 0 in float32"),
        ("--blur=0.5,0.5", "--blur names 0.5 twice"),
        ("--mode=odd", "--mode=odd: unknown; known: slow, fast"),
    ]:
        with pytest.raises(UserError) as caught:
            parsed(word)
        assert said in str(caught.value), caught.value


def check_identity() -> None:
    """Old cells keep their ids and are read; another value is another cell."""
    old = cell()
    assert (old.id, old.blur, old.mode) == (STORED, 0.0, "slow")
    assert len({old.id, cell(blur=0.5).id, cell(mode="fast").id}) == 3
    values = json.loads(to_json(old))
    older = {k: v for k, v in values.items() if k not in ("blur", "mode")}
    assert from_dict(CellConfig, older) == from_dict(CellConfig, values) == old


def check_plan() -> None:
    """A norm that does not read ``blur`` has no more cells by it."""
    config = parsed("--norm=none,batch", "--blur=0,0.5", "--mode=slow,fast")
    cells: Any = [one.config for one in expand(config, {"digits": 100})]
    found = {(one.norm, one.blur, one.mode) for one in cells}
    modes = ("slow", "fast")
    expected = {("batch", blur, mode) for blur in (0.0, 0.5) for mode in modes}
    assert found == expected | {("none", 0.0, mode) for mode in modes}
    names = {describe(one, tuple(cells)) for one in cells}
    assert "batch, blur 0.5, mode fast" in names and len(names) == len(cells) == 6


def check_claims() -> None:
    """Sides share what is not of the norm alone."""
    assert "mode" in SHARED and "blur" not in SHARED


class Model(nn.Module):
    norm: Any

    @nn.compact
    def __call__(self, x):
        return self.norm("norm1")(x, statistics="batch")


def check_use() -> None:
    """The norm that reads it is told."""
    x, outputs = jnp.arange(12.0).reshape(6, 2), []
    for blur in (0.0, 0.5):
        model: Any = Model(build_norm(cell(norm="batch", groups=None, blur=blur)))
        outputs.append(model.init_with_output(jax.random.key(0), x)[0])
    assert abs(outputs[0]).max() > 1 and jnp.allclose(outputs[1], 0.5 * outputs[0])


CHECKS = [value for name, value in list(globals().items()) if name.startswith("check_")]

if __name__ == "__main__":
    for check in CHECKS:
        check()
        print(check.__name__)
