"""The experiments that claims name hold what the claims look for."""

import dataclasses
from functools import cache
from pathlib import Path

import pandas as pd
import pytest
from absl import flags

from normlab.claims import CLAIMS
from normlab.claims.claim import Side
from normlab.claims.compare import selected
from normlab.claims.evidence import DEFAULTS
from normlab.config import SweepConfig
from normlab.flags import define, read
from normlab.norms import NORMS
from normlab.run_options import RunOptions
from normlab.sweep.grid import expand

ROOT = Path(__file__).parents[2]
SIZES = {"cifar10": 50000, "digits": 1500, "gaussian": 1000, "gaussian_uniform": 1000}
NAMES = sorted({name for claim in CLAIMS.values() for name in claim.needs})


@cache
def members(flagfile: str) -> pd.DataFrame:
    """The settings of all members of a flagfile, as `Evidence` has them."""
    values = flags.FlagValues()
    define(SweepConfig, values)
    define(RunOptions, values)
    values(["test", f"--flagfile={ROOT / flagfile}"])
    rows = []
    for cell in expand(read(SweepConfig, values), SIZES):
        own = dataclasses.asdict(cell.config)
        own["epochs"] = round(own["steps"] * own["batch_size"] / own["train_size"], 1)
        own["kinds"] = own["bn_eval"]
        rows += [own | dataclasses.asdict(member) for member in cell.members]
    table = pd.DataFrame(rows)
    return table.assign(**{k: v for k, v in DEFAULTS.items() if k not in table})


def sides(flagfile: str) -> dict[tuple[str, str], Side]:
    """Claim and name -> side, of all that name the flagfile."""
    return {
        (claim.id, f"{i} {side.name}"): side
        for claim in CLAIMS.values()
        for i, part in enumerate(claim.parts)
        for side in part.sides
        if side.flagfile == flagfile
    }


@pytest.mark.parametrize("flagfile", NAMES)
def test_a_flagfile_has_every_side_that_claims_look_for_in_it(flagfile):
    table = members(flagfile)
    for name, side in sides(flagfile).items():
        found = selected(table, side)
        assert len(found), (name, side.where)
        for norm, kinds in zip(found["norm"], found["kinds"], strict=True):
            running = "momentum" in NORMS[norm].reads
            assert side.evaluated in kinds or not running, (name, kinds)
        if side.across and isinstance(side.where.get(side.across[0]), tuple):
            wanted = set(side.where[side.across[0]])
            assert wanted <= set(found[side.across[0]]), name


@pytest.mark.parametrize("flagfile", NAMES)
def test_no_other_flagfile_has_a_side_on_fewer_images(flagfile):
    """Longer training counts first, and is longest where the images are fewest."""
    for name, side in sides(flagfile).items():
        if "dataset" not in side.where:
            continue  # of any network
        own = set(selected(members(flagfile), side)["train_size"])
        for other in NAMES:
            found = selected(members(other), side)
            assert set(found["train_size"] if len(found) else ()) <= own, (name, other)
