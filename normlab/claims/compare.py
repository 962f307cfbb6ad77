"""Selects the members for each part of a claim and computes the part's statistic.

Members are selected by their settings; the names of their runs do not matter. Two sides
are compared only if they agree on every shared setting (`SHARED`) that the part does
not set. Members with the same seed then have the same initialisation and, for equal
batch sizes, the same batches. Values are therefore paired by seed.
"""

import functools
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from normlab.cell import HYPERPARAMETERS, CellConfig
from normlab.claims.best import Choice, choices, of_equal_choice, reduced
from normlab.claims.claim import Part, Side
from normlab.claims.evidence import Evidence
from normlab.claims.measures import averaged
from normlab.claims.rules import LEAST_SEEDS
from normlab.data.spec import CIFAR10, SPECS
from normlab.settings import settings_of
from normlab.words import counted

# Settings that must be equal on all sides unless the claim sets them: all settings but
# the norm and those that only the norm reads.
SHARED = (
    *(
        spec.name
        for spec, setting in settings_of(CellConfig)
        if setting.axis and spec.name != "norm" and set(setting.read_by) != {"norm"}
    ),
    "train_eval",
    *HYPERPARAMETERS,
    "epochs",
    # Else a rising curve that is evaluated more often ends lower on average.
    "evaluations",
)
# What tells the networks of a cell apart.
SAME_NETWORK = ["cell", "grouping", *HYPERPARAMETERS, "seed"]
_NOTHING = pd.Series(dtype=float)
# Of the sides of a part (`Part.sides`).
_SIGNS = (1, -1, -1, 1)


class PartResult(NamedTuple):
    """The statistic of a part for every seed, and where it comes from.

    Attributes:
      values: seed -> the statistic, without NaNs; logarithms for a ratio. It is empty
        if a side is missing.
      members: the settings of the members that were used, one row for each.
      runs: the runs that were used.
      missing: the sides that no run contains.
      why: why there is no value although no side is missing, or "".
      length: the length of training, such as ``2 epochs of 10000 images``, and of how
        many evaluations the values are means. "" if there is nothing to say.
      diverged: the number of members that diverged, of those that were used.
      images_sd: at most how far the statistic is off for other test images of the same
        kind (a standard deviation, in its unit); 0 if it is no share of test images.
      choice: how the best members were chosen.
    """

    values: pd.Series
    members: pd.DataFrame = pd.DataFrame()
    runs: tuple[str, ...] = ()
    missing: tuple[Side, ...] = ()
    why: str = ""
    length: str = ""
    diverged: int = 0
    images_sd: float = 0.0
    choice: Choice = Choice()


def find(evidence: Evidence, part: Part) -> PartResult:
    """Computes the statistic of a part over seeds.

    If several settings cover every side of the part, prefer one with enough seeds, then
    longer training, then more seeds. For an exact rule, every network counts instead.
    """
    if part.rule.exact:
        return _of_networks(evidence, part)
    # A GPU rounds otherwise than a CPU, so the two are not compared either.
    shared = [name for name in (*SHARED, "device") if name not in named(part)]
    members = [selected(evidence.members, side) for side in part.sides]
    order = _order(evidence, members)
    keys = [*shared, "seed"]
    sides = [
        _values(evidence, part, side, side_members, keys, order)
        for side, side_members in zip(part.sides, members, strict=True)
    ]
    equal = of_equal_choice(part, sides, keys)
    tables = [
        reduced(table, keys, side, evidence)
        for side, table in zip(part.sides, equal, strict=True)
    ]
    missing = [s for s, t in zip(part.sides, tables, strict=True) if t.empty]
    if missing and all(map(len, sides)) and not all(map(len, equal)):
        return PartResult(_NOTHING, why="no value to choose from is on all sides")
    if missing:
        return PartResult(_NOTHING, missing=tuple(missing))
    setups = [dict(iter(table.groupby(shared, dropna=False))) for table in tables]
    common = [key for key in setups[0] if all(key in other for other in setups[1:])]
    if not common:
        why = f"the sides differ in {_apart(tables, shared)}"
        return PartResult(_NOTHING, why=why)
    epochs = shared.index("epochs") if "epochs" in shared else None

    def rank(key: tuple) -> tuple:
        n = len(_paired(part, setups, key))
        return n >= LEAST_SEEDS, 0 if epochs is None else key[epochs], n

    best = max(common, key=rank)
    of = set().union(*(set(setup[best]["run"]) for setup in setups))
    runs = tuple(run for run in evidence.runs if run in of)
    setting = dict(zip(shared, best, strict=True))
    told = (_length(part, setting), _averaged(part, setting))
    length = ", ".join(filter(None, told))
    lost = sum(int(setup[best]["lost"].sum()) for setup in setups)
    values = _paired(part, setups, best)
    used = pd.concat([_of_setup(side, shared, best) for side in members])
    used = used[used["seed"].isin(values.index)].drop_duplicates(SAME_NETWORK)
    of_seeds = [s[best][s[best]["seed"].isin(values.index)] for s in setups]
    return PartResult(
        values,
        used,
        runs,
        length=length,
        diverged=lost,
        images_sd=_images_sd(part, of_seeds, used),
        choice=choices(of_seeds),
    )


def _of_networks(evidence: Evidence, part: Part) -> PartResult:
    """The value of every network that was measured, in whichever run."""
    (side,) = part.sides
    members = selected(evidence.members, side)
    values = _NOTHING
    if len(members):
        values = part.measure.of(evidence, members.index, side.statistics).dropna()
    if values.empty:
        return PartResult(_NOTHING, missing=(side,))
    used = members.loc[values.index]
    # A network may be in several runs.
    used = used[~used.duplicated(SAME_NETWORK)]
    runs = tuple(run for run in evidence.runs if run in set(used["run"]))
    return PartResult(values.loc[used.index].astype(float), used, runs)


def _images_sd(part: Part, sides: list[pd.DataFrame], used: pd.DataFrame) -> float:
    """The standard deviation over draws of the test images, or an upper bound of it.

    A share p of N images has the variance p (1 - p) / N. The networks of a comparison
    see the same images, and an image that is hard for one is hard for the others. So
    their errors are correlated, at most fully. Errors of shares that are added then add
    up, and those of shares that are subtracted do not make the others larger. A range
    over a setting adds one share and subtracts another.
    """
    spec = SPECS.get(used["dataset"].iloc[0]) if len(used) else None
    # A published number is of the same test images as ours.
    if spec is None or part.measure.share is None or part.offset:
        return 0.0
    added, subtracted = 0.0, 0.0
    for sign, side, table in zip(_SIGNS, part.sides, sides, strict=False):
        p = table["share"].clip(0, 100).mean() / 100
        sd = np.sqrt(p * (1 - p) / spec.rows)
        is_range = side.across is not None and side.across[1] is np.ptp
        added += sd * (sign > 0 or is_range)
        subtracted += sd * (sign < 0 or is_range)
    return 100 * float(np.hypot(added, subtracted))


def _of_setup(members: pd.DataFrame, shared: list[str], key: tuple) -> pd.DataFrame:
    """The members of a setup, given the value of every shared setting."""
    same = np.ones(len(members), bool)
    for name, value in zip(shared, key, strict=True):
        column = members[name]
        same &= (column.isna() if pd.isna(value) else column == value).to_numpy(bool)
    return members[same]


def _length(part: Part, common: dict[str, Any]) -> str:
    """The length of training and the number of CIFAR-10 images, in words."""
    settings = {**part.sides[0].where, **common}
    epochs, images = settings.get("epochs"), settings.get("train_size")
    if settings.get("dataset") != "cifar10" or not isinstance(epochs, float):
        return ""
    words = f"{epochs:g} {'epoch' if epochs == 1 else 'epochs'}"
    if isinstance(images, int | np.integer) and images < CIFAR10.train_images:
        words += f" of {counted(int(images), 'image')}"
    return words


def _averaged(part: Part, setting: dict[str, Any]) -> str:
    """How many evaluations a final value averages, in words, or ""."""
    if not part.measure.late:
        return ""
    return f"mean of {counted(averaged(setting['evaluations']), 'evaluation')}"


def named(part: Part) -> set[str]:
    """The settings that any side of a part sets."""
    names: set[str] = set()
    for side in part.sides:
        names |= set(side.where)
        names |= {side.across[0]} if side.across else set()
    return names


def _apart(tables: list[pd.DataFrame], shared: list[str]) -> str:
    """The settings in which no value is on all sides."""
    values = [{name: set(t[name]) for name in shared} for t in tables]
    different = [s for s in shared if not set.intersection(*(v[s] for v in values))]
    return ", ".join(different) or "the combination of their settings"


def selected(members: pd.DataFrame, side: Side) -> pd.DataFrame:
    """The members of a side."""
    matches = np.ones(len(members), bool)
    for name, wanted in side.where.items():
        if not matches.any():
            break
        matches[matches] = np.asarray(_is(members[name][matches], wanted), bool)
    return members[matches]


def _is(column: pd.Series, wanted: Any) -> pd.Series:
    if callable(wanted):
        return column.map(wanted).astype(bool)
    if isinstance(wanted, tuple):
        each = [_is(column, one) for one in wanted]
        return functools.reduce(lambda a, b: a | b, each)
    if isinstance(wanted, float):
        close = np.isclose(column.astype(float), wanted, rtol=1e-6, atol=0)
        return pd.Series(close, index=column.index)
    return column == wanted


def _values(
    evidence: Evidence,
    part: Part,
    side: Side,
    members: pd.DataFrame,
    keys: list[str],
    order: dict[str, int],
) -> pd.DataFrame:
    """One row per setup and seed, and per value of the setting that the side reduces.

    The columns are ``keys``, that setting, ``value``, ``run``, ``lost`` (whether the
    member diverged) and ``share`` (of test images, or NaN). If two runs contain the
    same member, the first run in ``order`` wins.
    """
    if members.empty:
        return members
    values = part.measure.of(evidence, members.index, side.statistics)
    apart = [*keys, side.across[0]] if side.across else keys
    table = members[[*apart, "run", "lost"]]
    table = table.assign(
        value=values.reindex(members.index).astype(float), share=np.nan
    )
    if part.measure.share is not None:
        shares = part.measure.share(evidence, members.index, side.statistics)
        table["share"] = shares.reindex(members.index).astype(float)
    table = table[table["value"].notna()]
    places = table["run"].map(order).to_numpy()
    return table.iloc[np.argsort(places, kind="stable")].drop_duplicates(apart)


def _order(evidence: Evidence, sides: list[pd.DataFrame]) -> dict[str, int]:
    """Run -> its rank. Runs that contain members of more sides come first."""
    has = dict.fromkeys(evidence.runs, 0)
    for members in sides:
        for run in members["run"].unique() if len(members) else ():
            has[run] += 1
    most_first = sorted(evidence.runs, key=lambda run: -has[run])
    return {run: place for place, run in enumerate(most_first)}


def _paired(part: Part, setups: list[dict], key: tuple) -> pd.Series:
    """The statistic of a setup for every seed that all sides have."""
    sides = [setup[key].set_index("seed")["value"] for setup in setups]
    if part.measure.ratio:
        with np.errstate(divide="ignore", invalid="ignore"):
            sides = [np.log(side) for side in sides]
    seeds = functools.reduce(lambda a, b: a.intersection(b), (s.index for s in sides))
    seeds = seeds.sort_values()
    with np.errstate(invalid="ignore"):  # inf - inf is NaN, which is left out
        signed = [s * side.loc[seeds] for s, side in zip(_SIGNS, sides, strict=False)]
        values = functools.reduce(lambda a, b: a + b, signed)
    return (values - part.offset).dropna()
