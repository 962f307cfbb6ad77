"""The way that is taken without timing."""

import pytest

from normlab.errors import UserError
from normlab.settings.devices import CONV_FORMS
from normlab.train.way import Way, candidates, choose_execution, choose_way


def test_auto_is_told_by_the_platform_and_a_wish_is_granted():
    assert choose_execution("auto", "cpu")[0] == "map"
    assert choose_execution("auto", "gpu")[0] == "vmap"
    assert choose_execution("loop", "gpu") == ("loop", "as requested")


def test_members_that_run_one_after_another_share_nothing():
    with pytest.raises(UserError, match="--conv=shared.*--execution=vmap"):
        choose_way("auto", "shared", "cpu")
    with pytest.raises(UserError, match="under loop"):
        choose_way("loop", "shared", "gpu")
    assert choose_way("vmap", "shared", "cpu")[0] == Way("vmap", "shared")
    assert choose_way("auto", "shared", "gpu")[0] == Way("vmap", "shared")


def test_what_suits_a_gpu_depends_on_the_widest_layer():
    """As it was measured on an H100 (docs/speed.md)."""
    assert choose_way("auto", "auto", "gpu", 64)[0] == Way("vmap", "pallas")
    assert choose_way("auto", "auto", "gpu", 512)[0] == Way("map", "lax")
    assert choose_way("vmap", "auto", "gpu", 512)[0] == Way("vmap", "patches")
    assert choose_way("auto", "patches", "gpu", 64)[0] == Way("vmap", "patches")
    # A network of one's own, or without convolutions.
    assert choose_way("auto", "auto", "gpu")[0] == Way("vmap", "patches")
    assert choose_way("auto", "auto", "gpu without Triton", 64)[0].conv == "patches"


@pytest.mark.parametrize("conv", ["auto", *CONV_FORMS])
@pytest.mark.parametrize("execution", ["auto", "vmap", "map"])
@pytest.mark.parametrize("platform", ["cpu", "gpu", "gpu without Triton"])
def test_the_way_without_timing_is_a_candidate(platform, execution, conv):
    """Otherwise what is remembered of it could not be used.

    If there is none, it is what was asked for.
    """
    ways = candidates(execution, conv, platform)
    alone = execution == "map" or (execution == "auto" and platform == "cpu")
    for channels in (0, 64, 512):
        if conv == "shared" and alone:
            with pytest.raises(UserError, match="members share nothing"):
                choose_way(execution, conv, platform, channels)
            continue
        way, _ = choose_way(execution, conv, platform, channels)
        if ways:
            assert way in ways
        else:
            assert conv != "auto" and way.conv == conv
            assert execution in ("auto", way.execution)
        slow = way.execution == "vmap" and way.conv in ("direct", "lax")
        assert not slow or (execution, conv) == way[:2]  # both were asked for


def test_a_way_reads_as_it_is_written():
    some = Way("vmap", "patches", at_once=16)
    for way in (Way("map", "direct"), Way("vmap", "patches"), some):
        assert Way.read(str(way)) == way
    assert str(some) == "vmap of 16 with patches"
