"""The ledger itself: every claim, and the command."""

import dataclasses
import math
import re
from typing import Any

import numpy as np
import pytest

from normlab.cell import CellConfig, Member
from normlab.claims import (
    CLAIMS,
    FAMILIES,
    Claim,
    Verdict,
    __main__,
    corrected,
    ledger,
    to_table,
)
from normlab.claims.__main__ import flag_values, main
from normlab.claims.best import Choice
from normlab.claims.evidence import Evidence
from normlab.claims.judge import judge
from normlab.claims.text import rows, sums
from tests.called import called
from tests.claims.made import CIFAR, REPORT, REPORT_BATCH, frame, run, spread

S, C, U, N = "supported", "contradicted", "undecided", "no difference"
R = "not rejected"
SMALL = "not at its scale"


def test_the_ledger_is_whole():
    both = {"C1", "C1t", "B3", "C2a"} | {f"C{k}" for k in (3, 4, 5, 6)}
    both |= {f"C{k}" for k in range(8, 12)}
    wanted = both | {f"{name}p" for name in both} | {"C2b", "C2c", "C3s", "C7", "C9h"}
    wanted |= {f"F{k}" for k in range(1, 5)} | {f"H{k}" for k in range(1, 7)}
    wanted |= {f"R{k}" for k in range(1, 8)} | {f"SF{k}" for k in range(1, 6)}
    wanted |= {f"W{k}" for k in range(1, 8)} | {"B1", "B1l", "B1t", "B2", "B2p", "B6"}
    wanted |= {"B10", "B10a", "B10b", "B10c", "E11", "E11d", "H6d"}
    wanted |= {"S4.1", "S4.1c", "S4.1g", "S4.2", "S4.5"}
    wanted |= {"SF3d", "SF4g", "SF5d", "SF5l", "SF10"}
    assert set(CLAIMS) == wanted


@pytest.mark.parametrize("claim", CLAIMS.values(), ids=lambda c: c.id)
def test_a_claim_has_all_that_it_needs(claim: Claim):
    assert claim.sentence.endswith(".") and claim.source and claim.parts
    assert claim.remark == "" or claim.remark.endswith(".")
    # A name of a setting that there is not would select nothing for ever.
    kinds = (CellConfig, Member)
    known = {spec.name for kind in kinds for spec in dataclasses.fields(kind)}
    known.add("epochs")
    for part in claim.parts:
        assert len(part.sides) in (1, 2, 4)
        assert part.statistic and part.unit and part.rule.words
        assert part.rule.exact == claim.exact
        for side in part.sides:
            assert side.name and set(side.where) <= known, side
            assert side.statistics in ("running", "batch", "precise")
    # Algebra has no scale; all else has the setting of its source.
    assert (claim.scale is None) == claim.exact
    assert claim.scale is None or (
        claim.scale.source and set(claim.scale.least) <= known | {"steps"}
    )
    assert claim.test in ("all", "most", "pooled")
    if claim.test == "pooled":
        kinds = {(part.measure.words, part.rule.words) for part in claim.parts}
        assert len(kinds) == 1 and len(claim.parts) > 1
    for name in claim.needs:
        assert re.fullmatch(r"experiments/\w+\.flags", name)
    words = [part.statistic for part in claim.parts]
    assert len(set(words)) == len(words), "two parts read the same"


def test_no_runs():
    verdicts = ledger([])
    assert {v.id for v in verdicts} >= set(CLAIMS)
    assert len({v.id for v in verdicts}) == len(verdicts)
    for verdict in verdicts:
        assert (verdict.verdict, verdict.n, verdict.level) == (U, 0, 0)
        assert math.isnan(verdict.estimate) and math.isnan(verdict.low)
        assert math.isnan(verdict.p) and verdict.adjusted == verdict.cost == ""
        assert verdict.missing == verdict.needs != ()
        assert verdict.runs == () and verdict.note


def test_sides_differ_in_what_they_are_compared_by():
    for claim in CLAIMS.values():
        for part in claim.parts:
            sides = [(str(s.where), s.statistics, s.across) for s in part.sides]
            assert len(set(sides)) == len(sides), part.statistic


def report(norm: str, **more):
    own = REPORT_BATCH if norm == "batch" else {}
    return frame(norm, **REPORT | own, eval_statistics=("batch",), **more)


def one(name: str, *frames) -> dict[str, Verdict]:
    return {v.id: v for v in judge(CLAIMS[name], Evidence({"r": run(*frames)}))}


def test_a_number_of_the_report_comes_out_again_or_not():
    none, batch = spread(0.685), spread(0.405)
    cells = report("none", test=none, loss=batch), report("batch", loss=spread(0.37))
    found = one("R1", *cells)
    verdicts = [found[f"R1.{k}"].verdict for k in (1, 2, 3)]
    assert verdicts == [R, R, C] and len(found) == 4
    assert found["R1.2"].words == "not rejected, mean 0.00032 nats off, chosen to match"
    assert found["R1"].words == "contradicted, chosen to match"
    assert found["R1.1"].estimate == pytest.approx(68.5 - 68.53, abs=0.1)
    # The report's means of epochs 1 to 16, 19 and 20.
    assert found["R1.2"].estimate == pytest.approx(0.405 - 0.4054, abs=1e-3)
    assert found["R1.3"].estimate == pytest.approx(0.37 - 0.3044, abs=1e-3)
    assert found["R1"].verdict == C and found["R1"].p < 0.01
    assert found["R1.1"].p > 0.05  # that it is foreign
    remarks = {name: CLAIMS[name].remark for name in ("R1", "R2", "R5")}
    assert "no part of this claim" in remarks["R1"] and "one run" in remarks["R5"]


def test_accuracies_that_chose_the_placement_do_not_test_it():
    for k in range(1, 8):
        parts = [part for part in CLAIMS[f"R{k}"].parts if "accuracy" in part.statistic]
        norms = [side.where["norm"] for part in parts for side in part.sides]
        chosen = k in (1, 3, 4)
        assert norms == ["none"] if chosen else len(norms) == 2, k


def test_a_shorter_run_does_not_reproduce_a_number():
    short = one("R1", report("none", epochs=10), report("batch", epochs=10))
    assert short["R1"].missing == ("experiments/report_bn.flags",)


def test_the_effect_of_a_mistake_is_a_difference_with_an_interval():
    def group(init: str, norm_init: str, groups: int):
        settings = {**CIFAR, "init": init, "norm_init": norm_init, "groups": groups}
        lost = 0.05 if norm_init == "report" else 0
        level = spread(0.8 - lost)
        return frame("group", **settings, train=level, test=level)

    inits = ("report", "standard")
    cells = [group(i, n, g) for i in inits for n in inits for g in (1, 4, 16)]
    found = one("B1", *cells)
    assert found["B1"].verdict == S and len(found) == 7
    assert found["B1"].estimate == pytest.approx(-5)
    assert one("B1t", *cells)["B1t"].verdict == S
    assert all(v.unit == "points" and v.n == 5 for v in found.values())

    def batch(size: int):
        more = {
            "test_accuracy_running": 0.7,
            "test_accuracy_batch": 0.72,
            "test_accuracy_precise": 0.71,
        }
        settings: dict[str, Any] = {**CIFAR, "batch_size": size}
        settings["eval_statistics"] = ("running", "batch", "precise")
        table = frame("batch", **settings, eval_batch_size=10000, more=more)
        some = 1e-4 * np.sin(table["seed"] + size)
        return table.assign(test_accuracy_batch=table["test_accuracy_batch"] + some)

    cells = [batch(size) for size in (10, 50, 100)]
    found, precise = one("B2", *cells), one("B2p", *cells)
    assert found["B2"].verdict == precise["B2p"].verdict == S
    assert (found["B2"].estimate, found["B2.3"].estimate) == (
        pytest.approx((2, 2), abs=0.01)
    )
    assert precise["B2p"].estimate == pytest.approx(1, abs=0.01)


def test_groups_that_make_a_difference_contradict_c5():
    def cells(fall: float):
        """``fall`` as the report ran it, and nothing as it should have been run."""
        kinds = ((REPORT, "report", fall), (CIFAR, "standard", 0.0))
        for base, norm_init, by in kinds:
            for groups in (1, 4, 16):
                settings = {**base, "norm_init": norm_init, "groups": groups}
                level = spread(0.97 - by * (groups == 16))
                yield frame("group", **settings, train=level)

    assert one("C5", *cells(0.0))["C5"].verdict == S
    found = one("C5", *cells(0.034))
    assert found["C5"].verdict == C and found["C5"].estimate == pytest.approx(-3.4)
    assert [found[f"C5.{k}"].verdict for k in (1, 2)] == [S, C]
    proper = one("C5p", *cells(0.034))["C5p"]
    assert proper.verdict == S and proper.needs == ("experiments/proper_gn.flags",)
    assert proper.sentence.startswith("Run properly: training accuracy hardly")


def test_batch_norm_that_is_faster_supports_c1():
    def cells(gain: float):
        for size, lr in ((50, 1e-3), (50, 1e-4), (10, 1e-3), (100, 1e-3)):
            # At batch size 10, which the report excepts, the other way round.
            own = -gain if size == 10 else gain
            place: dict[str, Any] = {**REPORT, "batch_size": size, "lr": lr}
            place["eval_statistics"] = ("batch",)
            yield frame("none", **place, train=spread(0.8), loss=spread(0.5))
            train, loss = spread(0.8 + own), spread(0.5 - own)
            yield frame("batch", **place | REPORT_BATCH, train=train, loss=loss)

    found = one("C1", *cells(0.05))
    assert found["C1"].verdict == S and len(found) == 7
    assert abs(found["C1"].estimate) in (pytest.approx(5), pytest.approx(0.05))
    assert one("C3", *cells(0.05))["C3"].verdict == S
    assert one("C1", *cells(-0.05))["C1"].verdict == C
    assert one("C3", *cells(-0.05))["C3"].verdict == C
    assert one("C1", *cells(0.0))["C1"].verdict == N
    # No advantage at 10, but at 100 neither: the batch size is not the reason.
    assert [one("C3", *cells(0.0))[f"C3.{k}"].verdict for k in (1, 2, 3)] == [S, S, N]
    assert one("C3", *cells(0.0))["C3"].verdict == U


def proper_bn(gain: float, at: int = 0, **more):
    """Both norms as they should have been run; ``gain`` is batch norm's at ``at``."""
    for size in (10, 50, 100):
        for norm in ("none", "batch"):
            own = gain if norm == "batch" and at in (0, size) else 0.0
            better, lower = spread(0.7 + own), spread(0.5 - own)
            place: dict[str, Any] = {**CIFAR, "batch_size": size, **more}
            place["eval_statistics"] = ("running", "precise")
            table = frame(norm, **place, test=better, train=better, loss=lower)
            for kind in ("test_accuracy", "train_accuracy"):
                table[f"{kind}_precise"] = table[kind]
            yield table


def placed(norm: str, dense: bool, gain: float):
    """A norm behind the dense layer, too, or not."""
    train, loss = spread(0.8 + gain), spread(0.5 - gain)
    return frame(norm, **CIFAR, norm_dense=dense, epochs=5, train=train, loss=loss)


def started(cost: float):
    """Group norm with the report's scale and bias, and with 1 and 0."""
    for init in ("report", "standard"):
        for groups in (1, 4, 16):
            for norm_init, own in (("report", cost), ("standard", 0.0)):
                settings = {**CIFAR, "init": init, "norm_init": norm_init}
                loss = spread(0.5 + own)
                yield frame("group", **settings, groups=groups, epochs=5, loss=loss)


def dense(gain: float):
    for norm in ("batch", "group"):
        yield from (placed(norm, False, 0.0), placed(norm, True, gain))


@pytest.mark.parametrize(
    ("name", "cells"),
    [
        ("C1tp", proper_bn),
        ("B3p", lambda gain: [*proper_bn(gain, at=10), *proper_bn(0.0, lr=1e-4)]),
        ("B1l", started),
        ("B10a", dense),
        ("B10c", lambda gain: [placed("none", False, 0), placed("batch", True, gain)]),
    ],
)
def test_which_way_a_claim_goes(name, cells):
    assert one(name, *cells(0.05))[name].verdict == S
    assert one(name, *cells(-0.05))[name].verdict == C
    assert one(name, *cells(0.0))[name].verdict == N


def test_trainings_of_another_length_are_not_compared():
    longer = frame("batch", **CIFAR, norm_dense=True, train=0.99, loss=0.1)
    found = one("B10c", placed("none", False, 0), longer)
    assert found["B10c"].verdict == U and found["B10c"].n == 0
    assert "epochs" in found["B10c.1"].note


def test_who_is_poor_with_the_largest_groups_is_not_so_for_their_size():
    def cells(cost: float):
        yield frame("none", **CIFAR, loss=spread(0.5))
        for groups, own in ((1, cost), (16, 0.1)):
            loss, train = spread(0.5 + own), spread(0.9 - own)
            yield frame("group", **CIFAR, groups=groups, loss=loss, train=train)

    assert one("C7", *cells(0.0))["C7"].verdict == S
    assert one("C7", *cells(0.09))["C7"].verdict == C


def test_chance_is_no_training():
    settings: dict[str, Any] = {"dataset": "cifar10", "train_size": 50000}
    settings |= {"model": "vgg16", "optimizer": "sgd", "batch_size": 50, "epochs": 15}

    def cells(none: float, **more):
        yield frame("none", **settings | more, lr=0.5, test=spread(none))
        yield frame("batch", **settings | more, lr=0.5, test=spread(0.7))

    assert one("SF1", *cells(0.1))["SF1.4"].verdict == S
    assert one("SF1", *cells(0.6))["SF1.4"].verdict == C
    # Two parts have no run: what was measured is shown, and which part it is.
    found = one("SF1", *cells(0.1))["SF1"]
    assert found.verdict == U and found.n == 5 and "shows SF1.4" in found.note
    # A small network contradicts nothing.
    rows = one("SF1", *cells(0.6, model="vgg11", width=0.125))
    assert rows["SF1"].verdict == rows["SF1.4"].verdict == SMALL
    assert rows["SF1"].words == f"{SMALL}: vgg11, width 0.125"
    assert "experiments/santurkar_vgg.flags has this setting" in rows["SF1"].note


def test_how_batch_norm_is_evaluated_is_said():
    for claim in CLAIMS.values():
        sides = [side for part in claim.parts for side in part.sides]
        precise = any(side.statistics == "precise" for side in sides)
        words = [claim.remark, *(part.statistic for part in claim.parts)]
        assert not precise or "precise statistics" in " ".join(words), claim.id


def test_robustness_is_of_the_initialisation_alone_up_or_down():
    def cells(lost: float, none: float = 0.05):
        for norm, by in (("none", none), ("batch", lost)):
            for init, own in (("report", by), ("standard", 0.0)):
                settings: dict[str, Any] = {**CIFAR, "init": init}
                yield frame(norm, **settings, epochs=5, test=spread(0.7 - own))

    assert one("H5", *cells(0.01))["H5"].estimate == pytest.approx(-4)
    assert one("H5", *cells(0.01))["H5"].verdict == S
    # A start that helps changes as much as one that harms.
    assert one("H5", *cells(0.01, none=-0.05))["H5"].verdict == S
    assert one("H5", *cells(-0.09))["H5"].verdict == C
    assert one("H5", *cells(0.09))["H5"].verdict == C


def test_batch_sizes_in_a_resnet():
    def cells(lost: float, **more):
        for norm, own in (("batch", lost), ("group", 0.0)):
            for size in (2, 4, 32):
                for lr in (0.0125, 0.1):
                    test = spread(0.5 - (own if size == 2 else 0))
                    place: dict[str, Any] = {**CIFAR, "model": "resnet20"} | more
                    place |= {"batch_size": size, "lr": lr, "epochs": 12}
                    yield frame(norm, **place, test=test)

    found = one("W4", *cells(0.05))
    assert found["W4"].verdict == S
    assert found["W4.2"].estimate == pytest.approx(-5)
    assert one("W4", *cells(-0.05))["W4"].verdict == C
    assert one("W4", *cells(0.0))["W4"].verdict == N
    assert one("W3", *cells(0.05))["W3"].verdict == S
    assert one("W5", *cells(0.05))["W5"].verdict == U
    half = one("W4", *cells(0.05, width=0.5))["W4"]
    assert half.words == f"{SMALL}: width 0.5"


def test_groupings_are_compared_by_losses_where_they_change_as_often():
    def cells(cost: float, gain: float):
        """Changing groups costs a loss; correlated ones bring accuracy."""
        kinds = ("sequential", "random", "correlated", "anti_correlated")
        for every in (0, 1000):
            for how in kinds:
                changed = every and how not in ("sequential", "random")
                settings: dict[str, Any] = {**CIFAR, "grouping": how}
                settings["regroup_every"] = every
                loss = spread(0.9 + cost * bool(changed), by=1e-4)
                better = gain * (how == "correlated")
                yield frame(
                    "group_correlated",
                    **settings,
                    epochs=5,
                    loss=lambda s, at, loss=loss, better=better: loss(s, at) - better,
                    test=spread(0.68 + better),
                )

    assert one("F3", *cells(0.03, 0.01))["F3"].verdict == S
    assert one("F3", *cells(0.03, -0.01))["F3"].verdict == C
    assert one("F3", *cells(0.03, 0.0))["F3"].verdict == N


def test_the_correction_is_for_all_claims_of_a_family():
    def cells():
        for size in (50, 10, 100):
            place: dict[str, Any] = {**REPORT, "batch_size": size}
            place["eval_statistics"] = ("batch",)
            yield frame("none", **place, test=spread(0.69), loss=spread(0.405))

            def better(seed: int, at: float) -> float:
                return 0.70 + 0.006 * seed

            own: dict[str, Any] = place | REPORT_BATCH
            yield frame("batch", **own, test=better, loss=spread(0.304))

    evidence = Evidence({"r": run(*cells())})
    # R1 has no p-value to reject it, C4 has no runs, and F1 no statistic.
    family = [CLAIMS[name] for name in ("C1t", "R1", "C4", "F1")]
    rows = corrected(family, [judge(claim, evidence) for claim in family])
    first, reproduced, *others = [own[0] for own in rows]
    assert first.verdict == S and 0.01 < first.p < 0.05
    assert first.p_adjusted == pytest.approx(6 * first.p) and first.adjusted == U
    assert reproduced.p_adjusted >= reproduced.p and reproduced.n == 5
    assert [row.adjusted for row in others] == ["", ""]
    assert {part.adjusted for part in rows[0][1:]} == {""} and len(rows[0]) == 4
    # That a number can be one more of ours is nothing to correct.
    cells_of_r1 = (
        report("none", test=spread(0.685), loss=spread(0.405)),
        report("batch", loss=spread(0.304)),
    )
    [row, *_] = judge(CLAIMS["R1"], Evidence({"r": run(*cells_of_r1)}))
    [kept] = corrected([CLAIMS["R1"]], [[row]])[0]
    assert row.verdict == R and row.p > 0.05
    assert kept.adjusted == "" and math.isnan(kept.p_adjusted)
    alone = corrected(family[:1], [judge(family[0], evidence)])[0][0]
    assert alone.p_adjusted == pytest.approx(2 * first.p)


def test_seeds_that_were_seen_make_room_for_no_verdict_on_new_ones():
    """Of three claims, one on seen seeds has the smallest p-value."""
    family = [CLAIMS[name] for name in ("C1t", "C2a", "C11")]
    p, explores = (1e-6, 0.009, 0.009), (True, False, True)

    def made(claim, p, exploratory) -> list[Verdict]:
        row, *_ = judge(claim, Evidence({}))
        return [row._replace(verdict=S, n=5, p=p, exploratory=exploratory)]

    rows = corrected(family, list(map(made, family, p, explores)))
    seen, new, other = [row for (row,) in rows]
    assert seen.p_adjusted == pytest.approx(6 * 1e-6) and seen.adjusted == S
    assert new.p_adjusted == pytest.approx(6 * 0.009) and new.adjusted == U
    assert other.p_adjusted == pytest.approx(5 * 0.009) and other.adjusted == S
    # Among new seeds, Holm's method steps down.
    rows = corrected(
        family, [made(c, x, False) for c, x in zip(family, p, strict=True)]
    )
    assert rows[1][0].p_adjusted == pytest.approx(5 * 0.009)


def test_no_claim_is_in_two_families():
    names = [claim.id for own in FAMILIES.values() for claim in own]
    assert len(set(names)) == len(names) == len(CLAIMS)


def test_the_table():
    verdicts = ledger([])
    table = to_table(verdicts)
    assert list(table.columns) == list(Verdict._fields)
    assert list(table["id"]) == [v.id for v in verdicts]
    (row,) = table[table["id"] == "C4"].to_dict("records")
    assert row["needs"] == "; ".join(CLAIMS["C4"].needs) and row["runs"] == ""


def call(capsys, *words) -> tuple[int, str, str]:
    status = called(main, flag_values(), words, "normlab.claims")
    return status, *capsys.readouterr()


def test_a_table_that_cannot_be_written_is_found_before_the_work(
    capsys, tmp_path, monkeypatch
):
    monkeypatch.setattr(__main__, "ledger", lambda runs: pytest.fail("it works on"))
    (tmp_path / "file").touch()
    status, out, err = call(capsys, f"--out={tmp_path / 'file' / 'ledger.csv'}")
    assert status == 1 and out == "" and err.count("\n") == 1
    assert f"{tmp_path / 'file'}: a file is in its place" in err
    status, out, err = call(capsys, f"--out={tmp_path}")
    assert status == 1 and out == "" and f"{tmp_path} is a folder" in err


def test_the_command(capsys, tmp_path):
    path = tmp_path / "new" / "ledger.csv"
    status, out, _ = call(capsys, f"--out={path}")
    lines = out.splitlines()
    assert status == 0 and lines[-1] == f"ledger: {path}"
    assert "missing: experiments/report_bn.flags, " in out
    written = path.read_text(encoding="utf-8").splitlines()
    assert written[0].startswith("id,sentence,source,family,verdict,words,adjusted,")
    assert len(written) == 1 + len(ledger([]))
    assert f"the report: {len(FAMILIES['the report'])} claims: " in out
    # The legend is first, then the header, then a row with its words below.
    assert lines[0].startswith("How to read this.")
    head = next(k for k, line in enumerate(lines) if line.startswith("claim "))
    row, below = lines[head + 3 : head + 5]
    assert row.split()[:2] == ["C1", "undecided"]
    assert below.startswith(8 * " " + CLAIMS["C1"].sentence[:60])
    assert max(map(len, lines[:-1])) <= 100
    status, _, err = call(capsys, f"--run={tmp_path}")
    assert status == 1 and "not a run directory" in err and err.count("\n") == 1


def test_runs_without_claims_are_one_line(capsys, monkeypatch):
    nothing = ledger([])
    monkeypatch.setattr(__main__, "ledger", lambda runs: nothing)
    status, out, _ = call(capsys, "--run=runs/own")
    assert status == 0 and out.startswith("no claim is about this run. ")
    assert f"{len(CLAIMS)} claims" in out and out.count("\n") == 1


def test_marks_and_sums():
    row = ledger([])[0]._replace(verdict=S)
    holds = row._replace(adjusted=S, p_adjusted=0.01)
    explores = holds._replace(exploratory=True)
    lines = sums([holds, explores, row, row._replace(adjusted=U)])
    after = "2 after Holm, 1 of them on new seeds"
    assert f"{row.family}: 4 claims: 4 {S}; {after}" in lines
    assert f"{S} (0.01)" in rows(holds)[0] and f"{S}? (0.01)" in rows(explores)[0]
    assert f"{U} (" in rows(explores._replace(adjusted=U))[0]
    told = [rows(row._replace(images=images))[0] for images in ("", "differs")]
    assert [line.count("~") for line in told] == [0, 1]


def test_long_cells_and_words_continue_below():
    told, words = "not rejected, mean 0.00062 nats off, chosen to match", "loss " * 40
    row = ledger([])[0]._replace(words=f"{told}: width 0.5", sentence=words)
    lines = rows(row)
    assert lines[0].split()[-2:] == ["-", "0"] and max(map(len, lines)) <= 100
    assert [line[8:33].strip() for line in lines[:3]] == [
        "not rejected, mean",
        "0.00062 nats off, chosen",
        "to match",
    ]
    below = " ".join(line.strip() for line in lines[3:])
    asked = "[asked: all parts; shown: C1.1]"
    assert below.split() == f"{words}{asked} [run: width 0.5]".split()
    assert all(line.startswith(8 * " ") for line in lines[1:])


def test_what_is_asked_stands_below_a_row():
    """Of a claim of one part its statistic, too, which no other row has."""
    found = {v.id: " ".join(" ".join(rows(v)).split()) for v in ledger([])}
    assert found["C9p"].endswith("as it should have been run. [asked: above 0.5]")
    assert "range of the channel means" in found["C9p"]
    assert found["C5.1"].endswith("[asked: within ±1]")
    assert found["C5"].endswith("from 1 to 16. [asked: all parts; shown: C5.1]")
    assert "mean over 6 parts. [asked: below 0]" in found["B1"]
    assert "[asked: most parts; shown: C2b.1]" in found["C2b"]
    assert found["R1.2"].endswith("[asked: predicted, no end farther than 0.15]")
    assert found["S4.2"].endswith("[asked: within ±0.001]")
    assert found["S4.1"].endswith("[asked: at most 0]")


def test_a_best_that_test_images_chose_is_marked():
    row = ledger([])[0]
    assert "chosen on test images" not in " ".join(rows(row))
    told = rows(row._replace(note=Choice(by_test=1).words))
    assert told[-1].endswith("[best chosen on test images]")
