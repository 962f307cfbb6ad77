"""Values of settings, drawn from their declarations: a new one is drawn unasked."""

from typing import Any

from hypothesis import strategies as st

from normlab.cell import CellConfig
from normlab.norms import NORMS
from normlab.registry import REGISTRIES
from normlab.serialize import item_type
from normlab.settings import declared
from tests.cells import cell_config

LARGEST = 3.4e38
FIELDS = {name: spec for name, spec in CellConfig.__dataclass_fields__.items()}
WORD = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True)


def strategy(kind: type, name: str) -> st.SearchStrategy:
    """What a setting of ``kind`` may be, as far as it is checked by itself."""
    spec = kind.__dataclass_fields__[name]
    item, is_list = item_type(kind, name)
    one = _one(item, declared(spec))
    if not is_list:
        return one
    return st.lists(one, min_size=int(bool(spec.default)), max_size=4, unique=True).map(
        tuple
    )


def _one(item: type, setting) -> st.SearchStrategy:
    if item is bool:
        return st.booleans()
    if item is str:
        known = setting.choices
        return st.sampled_from(known) if isinstance(known, tuple) and known else WORD
    low = setting.low if setting.low is not None else setting.above
    high = setting.high if setting.high is not None else setting.below
    if item is int:
        return st.integers(int(low), int(high or 2**31 - 1))
    return st.floats(
        low,
        (2.0**127 if setting.float32 else LARGEST) if high is None else high,
        allow_nan=False,
        exclude_min=setting.above is not None,
        exclude_max=setting.below is not None,
        # Numbers that float32 has, and XLA does not take for 0.
        width=32 if setting.float32 else 64,
        allow_subnormal=not setting.float32,
    )


def another(name: str) -> Any:
    """A value of a setting of cells other than its default."""
    spec, (item, _) = FIELDS[name], item_type(CellConfig, name)
    setting, value = declared(spec), getattr(cell_config(), name)
    known = setting.known
    if known and item is str:
        return next(x for x in known if x != value)
    if item is bool:
        return not value
    if setting.below is not None:
        return (value or setting.below) / 2
    return (value or 0) + type(value or 1)(3)


def reader(name: str) -> dict[str, str]:
    """The norm, model and optimizer of a cell that reads a setting."""
    from normlab.models import LAYERS

    reads = declared(FIELDS[name]).read_by
    norms = [k for k, entry in NORMS.items() if name in entry.reads]
    found = {"norm": norms[0]} if "norm" in reads else {}
    return found | ({"model": LAYERS[name][0]} if "model" in reads else {})


def registry_of(name: str) -> Any:
    """The registry that a setting chooses from, if it does."""
    choices = declared(FIELDS[name]).choices
    return REGISTRIES[choices] if isinstance(choices, str) else None
