"""The figure shows what the table of numbers beside it says."""

import numpy as np
import pytest
from matplotlib.container import ErrorbarContainer

from normlab.bench.figure import draw, tabulate
from normlab.figures.style import save
from tests.bench.small import block, row

BLOCKS = [
    block(norm=norm, batch_size=size, members=members)
    for norm in ("none", "batch")
    for members in (1, 8)
    for size in (10, 50)
]
# In one block the slow peer is left out.
BLOCKS[-1] = block(rows=[row(), row("fast_peer (b)")], norm="batch", members=8)
TABLE = tabulate(BLOCKS, "a machine, 2 cores")


@pytest.fixture(scope="module")
def figure():
    return draw(TABLE)


def panel(figure, title: str):
    (ax,) = (ax for ax in figure.axes if ax.get_title() == title)
    return ax


def test_a_row_a_contender_of_every_block():
    assert len(TABLE) == 7 * 3 + 2
    first = TABLE.iloc[0]
    assert (first["median"], first["low"], first["high"]) == (2.0, 1.5, 3.0)
    assert (first["n"], first["steps"], first["members"]) == (3, 50, 1)
    assert set(TABLE["norm"]) == {"none", "batch"}


def test_a_panel_a_norm_and_member_count(figure):
    assert [ax.get_title() for ax in figure.axes] == [
        "norm none, 1 member",
        "norm batch, 1 member",
        "norm none, 8 members",
        "norm batch, 8 members",
    ]


def points(ax) -> list[ErrorbarContainer]:
    return [found for found in ax.containers if isinstance(found, ErrorbarContainer)]


def xy(found: ErrorbarContainer) -> np.ndarray:
    return np.asarray(found.lines[0].get_xydata())


def test_points_are_the_medians_and_whiskers_the_range(figure):
    ax = panel(figure, "norm none, 8 members")
    found_points = points(ax)
    assert [found.get_label() for found in found_points] == ["batch 10", "batch 50"]
    for found in found_points:
        assert xy(found)[:, 0].tolist() == [2.0, 4.0, 40.0]
        (whiskers,) = found.lines[2]
        ends = [segment[:, 0].tolist() for segment in whiskers.get_segments()]
        assert ends == [[1.5, 3.0], [3.5, 4.5], [40.0, 40.0]]


def test_points_do_not_overlap(figure):
    ax = panel(figure, "norm none, 8 members")
    heights = sorted(y for found in points(ax) for y in xy(found)[:, 1].tolist())
    assert len(heights) == 6 and np.diff(heights).min() > 0.3


def test_axes_are_labelled(figure):
    bottom = panel(figure, "norm batch, 8 members")
    assert bottom.get_xscale() == "log"
    assert bottom.get_xlabel() == "ms per member and step"
    left = panel(figure, "norm none, 8 members")
    names = [text.get_text() for text in left.get_yticklabels()]
    assert names == ["normlab (map)", "fast_peer (b)", "slow_peer"]
    low, high = bottom.get_ylim()
    assert low > high  # normlab on top
    title = figure.get_suptitle()
    for words in ("digits", "batch 10, 50", "3 runs", "a machine, 2 cores"):
        assert words in title


def test_one_that_was_left_out_keeps_its_place_and_is_named_so(figure):
    def notes(title: str) -> list[str]:
        return [text.get_text() for text in panel(figure, title).texts]

    assert notes("norm batch, 8 members").count("left out") == 1
    assert "left out" not in notes("norm none, 8 members")


def test_what_is_still_to_come_is_not_called_left_out():
    ax = panel(draw(tabulate(BLOCKS[:3], "a machine")), "norm none, 8 members")
    (only,) = points(ax)
    assert len(xy(only)) == len(ax.texts) == 3


def test_all_is_within_the_limits(figure):
    left, right = figure.axes[0].get_xlim()
    assert left < TABLE["low"].min() and right > TABLE["high"].max()


def test_it_is_saved_without_a_warning(tmp_path):
    paths = save(draw(TABLE), TABLE, tmp_path, "bench")
    assert [path.suffix for path in paths] == [".png", ".pdf", ".csv"]
    assert all(path.stat().st_size > 500 for path in paths)


def test_one_contender_in_one_run():
    alone = tabulate([block(rows=[row(ms=[2.0])])], "a machine")
    drawn = draw(alone)
    assert "range of 1 run;" in drawn.get_suptitle()
    assert np.isfinite(drawn.axes[0].get_xlim()).all()
