"""The experiments that claims name hold what the claims look for."""

import dataclasses
from functools import cache
from pathlib import Path

import pandas as pd
import pytest
from absl import flags

from normlab.claims import CLAIMS
from normlab.claims.claim import Side
from normlab.claims.compare import SHARED, named, selected
from normlab.claims.rules import LEAST_SEEDS
from normlab.config import SweepConfig
from normlab.flags import define, read
from normlab.norms import NORMS
from normlab.run_options import RunOptions
from normlab.sweep.grid import expand
from tests.cells import SIZES

ROOT = Path(__file__).parents[2]
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
        own["evaluations"] = max(round(own["steps"] / own["eval_every"], 1), 1)
        own["statistics"] = own["eval_statistics"]
        rows += [own | dataclasses.asdict(member) for member in cell.members]
    return pd.DataFrame(rows)


@cache
def everything() -> pd.DataFrame:
    """`members` of all flagfiles, with ``flagfile``."""
    return pd.concat([members(name).assign(flagfile=name) for name in NAMES])


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
        for norm, statistics in zip(found["norm"], found["statistics"], strict=True):
            known = side.statistics in statistics
            assert known or not NORMS[norm].running, (name, statistics)
        assert found["seed"].nunique() >= LEAST_SEEDS, name
        if side.across and isinstance(side.where.get(side.across[0]), tuple):
            wanted = set(side.where[side.across[0]])
            assert wanted <= set(found[side.across[0]]), name


@pytest.mark.parametrize("flagfile", NAMES)
def test_no_other_flagfile_has_a_side_on_fewer_images(flagfile):
    """Longer training counts first, and is longest where the images are fewest."""
    for name, side in sides(flagfile).items():
        if "dataset" not in side.where:
            continue  # of any network
        found = selected(everything(), side)
        sizes = found.groupby("flagfile")["train_size"].unique()
        own = set(sizes[flagfile])
        for other, theirs in sizes.items():
            assert min(theirs) >= min(own), (name, other)


PARTS = {
    f"{claim.id}.{k}": part
    for claim in CLAIMS.values()
    for k, part in enumerate(claim.parts, start=1)
}


@pytest.mark.parametrize("name", PARTS)
def test_the_longest_setup_of_a_part_is_one(name):
    """Of several, one would be taken that no word of the claim speaks of."""
    part = PARTS[name]
    shared = [key for key in SHARED if key not in named(part)]
    setups = []
    for side in part.sides:
        tables = [selected(members(flagfile), side) for flagfile in part.needs]
        own = pd.concat([table for table in tables if len(table)])
        setups.append(set(own[shared].itertuples(index=False)))
    common = set.intersection(*setups)
    assert common, "no two sides can be compared"
    if "epochs" in shared:
        longest = max(setup.epochs for setup in common)
        common = {setup for setup in common if setup.epochs == longest}
    assert len(common) == 1, common
