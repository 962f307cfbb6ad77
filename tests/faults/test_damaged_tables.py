"""Every part and record of a run, damaged: the same table, or one line."""

import numpy as np
import pyarrow as pa
import pytest

from normlab.errors import UserError
from normlab.store.landscapes import (
    Axes,
    read_axes,
    read_tiles,
    write_axes,
    write_tile,
)
from normlab.store.layout import read_json
from normlab.store.quantities import read_quantity, write_analysis
from normlab.store.tables import read_table
from tests.faults import small

pytestmark = pytest.mark.faults


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A finished run of several parts, with an analysis and a landscape."""
    paths = small.begin(tmp_path_factory.mktemp("whole") / "run")
    small.interrupt(paths, 4)
    small.go_on(paths)
    measured = {"member": [0, 1, 2], "step": [14] * 3, "norm": [1.0, 2.0, np.inf]}
    write_analysis(small.own(paths), "parameter_norm", pa.table(measured), {"every": 7})
    folder = landscape(paths)
    axes = Axes((-1.0, 0.0, 1.0))
    write_axes(folder, {"kind": "line"}, axes)
    losses = np.array([1.0, 0.5, np.nan])
    found = {("train", "batch"): (losses, losses)}
    write_tile(folder, 0, axes.coordinates_N2, found)
    return paths


def landscape(paths):
    return small.own(paths).landscapes / "line-12345678"


def everything(paths):
    """All that is read of a run, as bytes."""
    own = small.own(paths)
    frames = [*small.tables(paths), read_quantity(own, "parameter_norm")]
    frames.append(read_tiles(landscape(paths))[1])
    text = [repr(read_axes(landscape(paths))), str(read_json(own.config))]
    whole = [frame if frame is None else frame.to_csv() for frame in frames]
    return [*whole, *text, str(read_json(paths.sweep))]


def stored(paths):
    own = small.own(paths)
    files = [paths.sweep, own.config]
    for folder in (own.metrics, own.probes, own.analysis, own.landscapes):
        files += small.files(folder)
    return files


def test_it_is_the_same_or_one_line(whole, tmp_path, tally):
    expected, refused = everything(whole), 0
    paths = small.copy(whole, tmp_path / "run")
    for file in stored(paths):
        good = file.read_bytes()
        for damage, content in small.damages(good):
            small.put(file, content)
            tally["files damaged"] += 1
            tally["bytes flipped"] += "flipped" in damage
            try:
                found = everything(paths)
            except UserError as error:
                assert "\n" not in str(error), (file, damage)
                refused += 1
            else:
                # What was measured afterwards may be gone, and is then not there.
                kept = [a for a in found if a is not None and a != "None"]
                assert all(a in expected for a in kept), (file, damage)
                late = damage == "deleted" and {"analysis", "landscapes"} & set(
                    file.relative_to(paths.root).parts
                )
                assert late or found == expected, (file, damage)
            file.write_bytes(good)
    assert refused > 40


@pytest.mark.slow
def test_no_flipped_byte_is_read_as_another_number(whole, tmp_path, tally):
    """Every fourth byte of every file, its footer too."""
    paths = small.copy(whole, tmp_path / "run")
    flipped = {True: 0, False: 0}
    for file in stored(paths):
        good = file.read_bytes()
        names = list(read_json(file)) if file.suffix == ".json" else []

        def content(file=file, names=names):
            if names:
                # The name under which the digest stands is not covered by it.
                return str({name: read_json(file).get(name) for name in names})
            # As text: a NaN is equal to itself.
            return str(read_table(file, "again").to_pydict())

        right = content()
        for at in range(0, len(good), 4):
            other = bytearray(good)
            other[at] ^= 1 << (at // 4 % 8)
            file.write_bytes(bytes(other))
            tally["bytes flipped"] += 1
            try:
                same = content() == right
            except UserError:
                flipped[False] += 1
                continue
            assert same, (file, at)
            flipped[True] += 1
        file.write_bytes(good)
    assert flipped[False] > flipped[True] > 0


@pytest.mark.parametrize("folder", ["metrics", "probes/gradient_norm"])
@pytest.mark.parametrize("which", [0, -1])
def test_a_lost_part_stops_a_resume(folder, which, tmp_path, tally):
    tally["files damaged"] += 1
    paths = small.begin(tmp_path / "run")
    small.interrupt(paths, 4)
    parts = small.files(small.own(paths).root / folder)
    assert len(parts) > 1
    parts[which].unlink()
    with pytest.raises(UserError, match="(missing|has lost step .*); remove .*cells/"):
        small.go_on(paths)


def test_a_damaged_record_is_made_again(whole, tmp_path, tally):
    """As the line says: without cell.json the same command goes on."""
    tally["files damaged"] += 1
    paths = small.copy(whole, tmp_path / "run")
    record = small.own(paths).config
    text = record.read_text()
    assert text.count('"lr": 0.1') == 1
    record.write_text(text.replace('"lr": 0.1', '"lr": 0.3'))
    refusal = r"cell\.json is damaged.*remove it, and the same command writes it"
    with pytest.raises(UserError, match=refusal):
        small.tables(paths)
    with pytest.raises(UserError, match=refusal):
        small.go_on(paths)
    record.unlink()
    small.go_on(paths)
    small.same_run(paths, whole)


def test_a_command_says_it_in_one_line(tmp_path, capsys, tally):
    tally["files damaged"] += 2
    out = tmp_path / "run"
    assert small.sweep(out) == 0
    expected = small.load(out)
    capsys.readouterr()
    for file in (next(out.glob("cells/*/metrics/part-*")), out / "sweep.json"):
        good = file.read_bytes()
        file.write_bytes(good[: len(good) // 2])
        assert small.sweep(out) == 1
        error = capsys.readouterr().err
        small.one_line(error)
        assert f"{file} is damaged" in error
        file.write_bytes(good)
    assert small.sweep(out) == 0
    small.pd.testing.assert_frame_equal(small.load(out), expected, check_exact=True)
