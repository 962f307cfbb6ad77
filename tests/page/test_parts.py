"""What the page is made of: curves to explore, folded claims, alternative texts."""

import dataclasses
import json
import math

import numpy as np
import pytest

from normlab.claims import CLAIMS, ledger
from normlab.claims.bounds import Distance
from normlab.config import SweepConfig
from normlab.figures import colours
from normlab.figures.tables import PAPER
from normlab.page import alt, forest, judged, origin, series
from normlab.page.finals import column_heads, heading, read_finals
from normlab.page.overview import below, overview, trained
from normlab.serialize import to_json
from normlab.store import load
from tests.page.conftest import verdict
from tests.store.handmade import make_cell, write_run


def frame_of(folder, *cells, **how):
    return load(write_run(folder, cells, **how).root)


def test_curves_are_the_members(tmp_path):
    frame = frame_of(tmp_path, make_cell(), make_cell(norm="none"))
    found = series.curves(frame)
    assert found is not None
    names = [axis["id"] for axis in found["axes"]]
    assert names == ["label", "lr", "seed"]
    assert found["axes"][1]["values"] == ["0.001", "0.01"]
    assert found["colours"] == [colours.PALETTE[1], colours.PALETTE[0]]  # as in figures
    assert len(found["members"]) == 2 * 2 * 3 and found["main"] == "test_accuracy"
    member = next(m for m in found["members"] if m["at"] == [1, 1, 2])
    mine = frame[
        (frame["norm"] == "none") & (frame["lr"] == 1e-2) & (frame["seed"] == 2)
    ]
    grid, values = member["data"]["test_accuracy"]
    assert found["grids"][grid] == [0, 1, 2]
    measured = mine[mine["test_accuracy"].notna()]
    np.testing.assert_allclose(values, measured["test_accuracy"], rtol=1e-3)
    grid, values = member["data"]["batch_loss"]
    assert found["grids"][grid] == pytest.approx(np.arange(20) / 10)
    np.testing.assert_allclose(values, mine["batch_loss"][:-1], rtol=1e-3)


def test_long_curves_are_averaged_over_bins(tmp_path):
    frame = frame_of(tmp_path, make_cell(lrs=(1e-3,), seeds=1, steps=800))
    found = series.curves(frame)
    assert found is not None
    grid, values = found["members"][0]["data"]["batch_loss"]
    assert len(values) == len(found["grids"][grid]) == 80
    assert values[3] == pytest.approx(frame["batch_loss"][30:40].mean(), rel=1e-3)


def test_many_members_have_shorter_curves(tmp_path, monkeypatch):
    monkeypatch.setattr(series, "_ALL_POINTS", 60)
    monkeypatch.setattr(series, "_LEAST_POINTS", 5)
    found = series.curves(
        frame_of(tmp_path, make_cell(seeds=3, lrs=(1e-3,), steps=200))
    )
    assert found is not None
    for member in found["members"]:
        assert {len(values) for _, values in member["data"].values()} <= {20}


def test_what_is_not_finite_is_null(tmp_path):
    def loss(member, step: int) -> float:
        return math.inf if member.seed == 1 and step > 5 else 1.0

    found = series.curves(frame_of(tmp_path, make_cell(lrs=(1e-3,)), loss=loss))
    assert found is not None
    members = {m["at"][-1]: m["data"]["batch_loss"] for m in found["members"]}
    assert members[0][1] == [1.0] * 20
    assert members[1][1] == [1.0] * 6 + [None] * 14
    assert members[0][0] == members[1][0]  # the same grid
    never = frame_of(
        tmp_path / "n",
        make_cell(),
        loss=lambda m, t: math.nan,
        score=lambda m, t: math.nan,
    )
    left = series.curves(never.assign(gradient_norm=math.nan))
    assert left is None


def test_what_is_shown_at_first_is_where_norms_differ_most(tmp_path):
    cells = [
        make_cell(lrs=(1e-3, 1e-2), batch_size=50),
        make_cell(norm="none", lrs=(1e-3, 1e-2), batch_size=50),
        make_cell(lrs=(1e-1,)),
    ]
    # Norms differ by seeds, too: the point is chosen by the medians of norms.
    score = lambda member, step: member.lr * step  # noqa: E731
    found = series.curves(frame_of(tmp_path, *cells, score=score))
    assert found is not None
    first = {a["id"]: [a["values"][i] for i in a["first"]] for a in found["axes"]}
    # At a rate of 0.1 there is but one norm; of the others 0.01 scores best.
    assert first == {
        "label": ["batch", "none"],
        "lr": ["0.01"],
        "batch_size": ["50"],
        "seed": ["0", "1", "2"],
    }


def test_parts_are_folded_under_their_claim():
    rows = [
        verdict(x, kind)
        for x, kind in [
            ("C1", "supported"), ("C1.1", "undecided"), ("C10", "contradicted"),
            ("C1.2", "supported"), ("C3.1", "supported"),
        ]
    ]  # fmt: skip
    found = judged.judged(rows, {})
    assert [row.verdict.id for row in found] == ["C1", "C10", "C3.1"]
    assert [[p.verdict.id for p in row.parts] for row in found] == [
        ["C1.1", "C1.2"],
        [],
        [],
    ]
    assert judged.counts(found) == {"supported": 2, "contradicted": 1}


@pytest.mark.faults
def test_a_claims_id_may_hold_dots():
    """It is the claim that counts its parts, and no dot of a name."""
    rows = [
        verdict("S4.1", claim="S4.1"),
        verdict("S4.1c", claim="S4.1c"),
        verdict("S4.1c.1", claim="S4.1c"),
        verdict("S4.1c.2", "undecided", claim="S4.1c"),
    ]
    found = judged.judged(rows, {})
    assert [row.verdict.id for row in found] == ["S4.1", "S4.1c"]
    assert [p.verdict.id for p in found[1].parts] == ["S4.1c.1", "S4.1c.2"]
    assert sum(judged.counts(found).values()) == 2


@pytest.mark.faults
def test_the_page_counts_each_claim_once():
    found = judged.judged(ledger([]), {})
    assert [row.verdict.id for row in found] == list(CLAIMS)
    assert sum(judged.counts(found).values()) == len(CLAIMS)
    for row in found:
        own = len(CLAIMS[row.verdict.id].parts)
        assert len(row.parts) == (own if own > 1 else 0)


@pytest.mark.faults
@pytest.mark.parametrize(
    ("low", "shown"), [(-1.04, "[-1.04, 0.90]"), (-0.96, "[-0.96, 0.90]")]
)
def test_a_claim_is_shown_as_it_is_judged(low, shown):
    """With digits enough: with two, -1.04 would seem to be at the bound of 1 point."""
    c3 = CLAIMS["C3"].parts[0].statistic
    row = verdict("C3.1", estimate=0.0, low=low, high=0.9, unit="points", statistic=c3)
    [found] = judged.judged([row], {})
    assert CLAIMS["C3"].parts[0].rule.bound == 1 and shown in found.value


def test_numbers_of_a_claim():
    [row] = judged.judged([verdict("C1")], {})
    assert (row.value, row.interval) == ("0.083 [0.071, 0.095] nats", "95% interval")
    bare = verdict("C1", low=math.nan, high=math.nan, unit="")
    [row] = judged.judged([bare], {})
    assert (row.value, row.interval) == ("0.0831", "")
    [row] = judged.judged([verdict("C1", n=1, low=math.nan, high=math.nan)], {})
    assert (row.value, row.interval) == ("0.0831 nats", "one seed, no interval")
    [row] = judged.judged([verdict("C1", estimate=math.nan)], {})
    assert row.value == ""


def test_the_test_of_a_claim_is_told():
    whole = verdict(
        "C1", "undecided", p=1e-9, adjusted="undecided", p_adjusted=0.25
    )._replace(
        exploratory=True,
        seeds_needed=12.0,
        member_steps=3e5,
        cpu_seconds=6000.0,
        gpu_seconds=20.0,
        check="agrees",
        images="differs, undecided",
        low_images=-1.0,
        high_images=2.0,
    )
    [row] = judged.judged([whole], {})
    assert row.details == {
        "Family": "a family",
        "p": "below 0.0001",
        "After Holm's correction": "undecided (p 0.25)",
        "Check": "agrees",
        "Other test images": "differs, undecided: at most [-1.000, 2.000] nats",
        "Seeds": "some had been seen before, so this verdict explores",
        "Would be decided by": "12 new seeds (0.3 M member-steps: 2 hours on two CPU "
        "cores, 20 s on an H100)",
        "On a GPU": "experiments/gpu/: 10_report_bn, 11_report_bn_more",
        "Version of the rule": "2 (0123456789)",
    }
    [part] = judged.judged([verdict("C1.1", p=math.nan)], {})
    assert part.details == {}


def test_a_verdict_of_several_words_is_counted_and_shown(bare, plain):
    words = "no difference larger than 1 point"
    row = verdict("C1", "no difference", words=words, adjusted="undecided")
    text = bare(plain, ledger=[row, verdict("C2", "not at its scale")])
    assert 'class="badge no-difference"' in text and words in text
    assert "not at its scale (1)" in text and "after Holm: undecided" in text


def test_a_claims_runs_lead_to_their_sections():
    sections = {"runs/a": "#one", "/somewhere/b": "#two"}
    row = verdict("C1", runs=("runs/a", "b", "runs/c"))
    [found] = judged.judged([row], sections)
    assert found.runs == {"a": "#one", "b": "#two", "c": ""}


def test_alternative_text(tmp_path):
    from normlab.figures import santurkar_1

    cell, other = (
        make_cell(lrs=(0.1,), norm=x, model="vgg16", dataset="cifar10", optimizer="sgd")
        for x in ("batch", "none")
    )
    table = santurkar_1.tabulate(frame_of(tmp_path, cell, other))
    text = alt.alt_text("Accuracy of a VGG.", table)
    assert text.startswith(
        "Accuracy of a VGG. Data: 100 images of cifar10, vgg16, batches of 10. Shown: "
        "batch, none."
    )
    assert f"Compared with: {PAPER}." in text and "range of 3 seeds" in text
    assert "Highest final test accuracy: batch 0.701, none 0.701." in text


def test_numbers_to_choose_from_are_in_order(tmp_path):
    cells = [make_cell(batch_size=size) for size in (50, 10, 25)]
    found = series.curves(frame_of(tmp_path, *cells))
    assert found is not None
    [sizes] = [axis for axis in found["axes"] if axis["id"] == "batch_size"]
    assert sizes["values"] == ["10", "25", "50"]


def test_how_long_a_run_trains(tmp_path):
    # 20 steps of 10 of 100 images.
    one = frame_of(tmp_path / "a", make_cell())
    assert trained(one) == "2 epochs on 100 examples of digits, 3 seeds."
    more = [make_cell(seeds=1), make_cell(batch_size=50, train_size=50, seeds=1)]
    many = frame_of(tmp_path / "b", *more)
    assert trained(many) == "2 to 20 epochs on 50 to 100 examples of digits, 1 seed."
    full = one.assign(steps=10000, batch_size=100)
    assert trained(full).startswith("10,000 steps on 100 examples")


def test_bars_stay_within_the_axis():
    """What lies beyond the last mark is drawn at the edge."""
    assert forest.at(0.0) == forest.WIDTH / 2
    places = [forest.at(x) for x in (-1e9, -1e3, -1.0, 1.0, 10.0, 999.0, 1e3, 1e9)]
    assert places[0] == places[1] == 0 and places[-1] == places[-2] == forest.WIDTH
    assert np.all(np.diff(places) >= 0)
    far = forest.bar(Distance(-math.inf, 2e4, math.inf, ""))
    assert far == (0, forest.WIDTH, forest.WIDTH)


def test_overview(tmp_path):
    frames = [
        frame_of(tmp_path / "a", make_cell()),
        frame_of(tmp_path / "b", make_cell(norm="none", seeds=5, dataset="cifar10")),
    ]
    found = overview(frames)
    assert found[:3] == (2, 16, 320)
    assert (found.norms, found.datasets) == (["batch", "none"], ["digits", "cifar10"])
    assert found.seeds == 5 and found.updates == "320" and found.long == "20"
    assert found._replace(steps=1_230_000).updates == "1.2 million"


def test_a_stored_setting_is_shown_as_the_flag_of_today():
    changes: dict = {"quantities": ("gradient_norm",), "eval_statistics": ("batch",)}
    stored = json.loads(to_json(SweepConfig(steps=5, **changes)))
    assert {"probes", "bn_eval"} < stored.keys()
    wanted = {"--steps=5", "--quantities=gradient_norm", "--eval_statistics=batch"}
    assert set(origin._changed(stored)) == wanted


def test_what_a_stored_run_does_not_have_is_not_shown_as_changed():
    assert origin._changed({}) == []


def test_every_claim_has_a_short_name():
    names = [claim.name for claim in CLAIMS.values()]
    assert all(names) and len(set(names)) == len(names)
    assert max(map(len, names)) <= 34  # what fits beside a bar
    shown = judged.judged([verdict("C1p"), verdict("C3.1"), verdict("C99")], {})
    assert [row.name for row in shown] == ["Batch norm trains faster, redone", "", ""]


def test_the_scale_is_told_of_sources_that_most_runs_fall_short_of():
    small = "not at its scale"
    scales = ["1/8 width", "1/8 width", "1/4 width", "", "", "", "1/8 width"]
    families = ["a", "a", "a", "a", "a", "b", "b", "c", "d"]
    # A network may have another name, with any words in it.
    scales += ["widths of digits", "batch size 32"]
    sizes = {"1/8 width", "1/4 width", "batch size 32"}
    ledger_rows = [
        verdict(f"C{k}", small, family=family) for k, family in enumerate(families)
    ]
    rows = [
        dataclasses.replace(row, scale=scale, sized=scale in sizes)
        for row, scale in zip(
            judged.judged(ledger_rows, {}),
            scales,
            strict=True,
        )
    ]
    assert below(rows) == {"a": "1/8 width", "d": "batch size 32"}


def test_a_row_knows_whether_its_networks_are_smaller():
    for words, sized in [("width 0.125", True), ("digits", False), ("vgg11", False)]:
        row = verdict("SF4", "not at its scale", words=f"not at its scale: {words}")
        [found] = judged.judged([row], {})
        assert found.scale and found.sized == sized


def test_of_many_settings_the_best_is_told(tmp_path):
    frame = frame_of(
        tmp_path, *(make_cell(norm="group", groups=g) for g in (1, 2, 4, 8))
    )
    for metric, best in (("test_accuracy", 8), ("test_loss", 1)):
        ranked = frame.assign(**{metric: frame[metric] * frame["groups"]})
        if metric == "test_loss":  # as of a regression
            ranked = ranked.assign(dataset="gaussian")
        lead = read_finals(ranked).lead
        assert lead.startswith(f"Best final {metric.replace('_', ' ')} of 4 settings: ")
        assert f"with group (G={best})" in lead


def test_the_head_of_a_row_or_column_names_no_flag():
    assert heading("lr 0.001") == ("learning rate 0.001", "")
    assert heading("group (G=4)") == ("group (G=4)", "")
    assert heading("batch_noisy, norm_dense False, batch_size 10") == (
        "batch noisy",
        "with norms only after convolutions, at batch size 10",
    )


def test_columns_are_headed_by_what_differs():
    assert column_heads(["lr 0.01", "lr 0.1"]) == ("learning rate", ["0.01", "0.1"])
    pairs = ["lr 0.01, momentum 0.5", "lr 0.01, momentum 0.9"]
    assert column_heads(pairs) == (
        "learning rate, momentum",
        ["0.01, 0.5", "0.01, 0.9"],
    )
    unlike = ["lr 0.01", "lr 0.01, momentum 0.9"]
    wanted = ["learning rate 0.01", "learning rate 0.01, momentum 0.9"]
    assert column_heads(unlike) == ("", wanted)
    assert column_heads([""]) == ("", [""])  # a log without a learning rate


def test_a_value_tells_only_what_the_caption_does_not(tmp_path):
    def loss(member, step: int) -> float:
        return math.nan if member.lr == 1e-2 and member.seed == 0 else 1.0

    cells = (make_cell(), make_cell(norm="none", seeds=2))
    found = read_finals(frame_of(tmp_path / "a", *cells, loss=loss))
    assert found.axis == "learning rate" and found.columns == ["0.001", "0.01"]
    notes = {
        norm: [row and row.note for row in rows] for norm, rows in found.rows.items()
    }
    assert notes == {
        "batch": ["", "1 diverged"],
        "none": ["n = 2", "n = 2, 1 diverged"],
    }
    assert found.each == "norm"
    mixed = make_cell(dataset="cifar10"), make_cell(dataset="cifar10", norm="none")
    guessing = frame_of(
        tmp_path / "c", *mixed, score=lambda member, _: 0.9 if member.lr < 1e-2 else 0.1
    )
    found = read_finals(guessing)
    for row in found.rows.values():
        assert [value and value.note for value in row] == ["", "at chance"]
    more = (make_cell(), make_cell(batch_size=50))
    assert read_finals(frame_of(tmp_path / "b", *more)).each == "row"
