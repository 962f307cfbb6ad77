"""The ledger itself: every claim, and the command."""

import dataclasses
import math
import re
from typing import Any

import pytest

from normlab import flags
from normlab.claims import CLAIMS, Claim, Verdict, ledger, to_table
from normlab.claims.__main__ import flag_values, main
from normlab.claims.compare import SHARED
from normlab.claims.evidence import DEFAULTS, Evidence
from normlab.claims.judge import judge
from tests.cells import cell_config
from tests.claims.made import CIFAR, REPORT, REPORT_BATCH, frame, run, spread

S, C, U = "supported", "contradicted", "undecided"
FLAGFILES = {
    "report_bn",
    "report_bn_lr",
    "report_gn",
    "proper_bn",
    "proper_bn_lr",
    "proper_gn",
    "postmortem_init",
    "postmortem_scale",
    "postmortem_groups",
    "postmortem_batch_size",
    "postmortem_lr",
    "postmortem_width",
    "report_histograms",
    "digits_easy",
    "grouping_small_cnn",
    "grouping_once",
    "resnet_batch_size",
    "resnet_groups",
    "santurkar_vgg",
    "santurkar_vgg_cpu",
    "santurkar_noisy_cpu",
    "santurkar_decay_cpu",
    "santurkar_dln",
    "smoothness_digits",
}


def test_the_ledger_is_whole():
    wanted = {f"C{k}" for k in range(1, 13)} - {"C2"} | {"C2a", "C2b", "C2c"}
    wanted |= {f"F{k}" for k in range(1, 5)} | {f"H{k}" for k in range(1, 7)}
    wanted |= {f"R{k}" for k in range(1, 8)} | {f"SF{k}" for k in range(1, 6)}
    wanted |= {f"W{k}" for k in range(1, 8)} | {"B1", "B2", "B3", "B6", "E11"}
    wanted |= {"S4.1", "S4.1c", "S4.1g", "S4.2", "S4.4", "S4.5"}
    assert set(CLAIMS) == wanted


@pytest.mark.parametrize("claim", CLAIMS.values(), ids=lambda c: c.id)
def test_a_claim_has_all_that_it_needs(claim: Claim):
    assert claim.sentence.endswith(".") and claim.source and claim.parts
    assert claim.remark == "" or claim.remark.endswith(".")
    # A name of a setting that there is not would select nothing for ever.
    known = {spec.name for spec in dataclasses.fields(cell_config())} | set(DEFAULTS)
    known |= {"seed", "lr", "momentum", "weight_decay", "epochs"}
    for part in claim.parts:
        assert len(part.sides) in (1, 2, 4)
        assert part.statistic and part.unit and part.rule.words
        assert set(part.free) <= set(SHARED)
        for side in part.sides:
            assert side.name and set(side.where) <= known, side
            assert side.evaluated in ("running", "batch", "precise")
    files = {re.fullmatch(r"experiments/(\w+)\.flags", name) for name in claim.needs}
    assert {found and found[1] for found in files} <= FLAGFILES
    words = [part.statistic for part in claim.parts]
    assert len(set(words)) == len(words), "two parts read the same"


def test_no_runs():
    verdicts = ledger([])
    assert {v.id for v in verdicts} >= set(CLAIMS)
    assert len({v.id for v in verdicts}) == len(verdicts)
    for verdict in verdicts:
        assert (verdict.verdict, verdict.n, verdict.coverage) == (U, 0, 0)
        assert math.isnan(verdict.median) and math.isnan(verdict.low)
        assert verdict.missing == verdict.needs != ()
        assert verdict.runs == () and verdict.note


def test_sides_differ_in_what_they_are_compared_by():
    for claim in CLAIMS.values():
        for part in claim.parts:
            sides = [(str(s.where), s.evaluated, s.across) for s in part.sides]
            assert len(set(sides)) == len(sides), part.statistic


def report(norm: str, **more):
    own = REPORT_BATCH if norm == "batch" else {}
    return frame(norm, **REPORT | own, bn_eval=("batch",), **more)


def one(name: str, *frames) -> dict[str, Verdict]:
    return {v.id: v for v in judge(CLAIMS[name], Evidence({"r": run(*frames)}))}


def test_a_number_of_the_report_comes_out_again_or_not():
    found = one("R1", report("none", test=0.688), report("batch", test=0.70))
    assert (found["R1.1"].verdict, found["R1.2"].verdict) == (S, C)
    assert found["R1.1"].median == pytest.approx(68.8 - 68.53)
    assert found["R1.2"].median == pytest.approx(70 - 72.45)
    assert found["R1"].verdict == C
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
    assert found["B1"].verdict == S and len(found) == 13
    assert found["B1"].median == pytest.approx(-5)
    assert all(v.unit == "points" and v.n == 5 for v in found.values())

    def batch(size: int):
        more = {
            "test_accuracy_running": 0.7,
            "test_accuracy_batch": 0.72,
            "test_accuracy_precise": 0.71,
        }
        evaluated = ("running", "batch", "precise")
        settings: dict[str, Any] = {**CIFAR, "batch_size": size, "bn_eval": evaluated}
        return frame("batch", **settings, more=more)

    found = one("B2", *(batch(size) for size in (10, 50, 100)))
    gains = [found[f"B2.{k}"].median for k in range(1, 7)]
    assert gains == pytest.approx([2, 1] * 3) and found["B2"].verdict == S


def test_groups_that_make_a_difference_contradict_c5():
    def cells(fall: float):
        kinds = ((REPORT, "report"), (CIFAR, "standard"))
        for base, norm_init in kinds:
            for groups in (1, 4, 16):
                settings = {**base, "norm_init": norm_init, "groups": groups}
                level = spread(0.97 - fall * (groups == 16))
                yield frame("group", **settings, train=level)

    assert one("C5", *cells(0.0))["C5"].verdict == S
    found = one("C5", *cells(0.034))
    assert found["C5"].verdict == C and found["C5"].median == pytest.approx(-3.4)
    assert [found[f"C5.{k}"].verdict for k in (1, 2, 3, 4)] == [S, C, S, C]


def test_batch_norm_that_is_faster_supports_c1():
    def cells(gain: float):
        for size, lr in ((50, 1e-3), (50, 1e-4), (10, 1e-3), (100, 1e-3)):
            for base, scaled in ((REPORT, REPORT_BATCH), (CIFAR, {})):
                place: dict[str, Any] = {**base, "batch_size": size, "lr": lr}
                place["bn_eval"] = ("batch",)
                if base is CIFAR:
                    place["bn_eval"] = ("running",)
                yield frame("none", **place, train=spread(0.8), loss=spread(0.5))
                train, loss = spread(0.8 + gain), spread(0.5 - gain)
                yield frame("batch", **place | scaled, train=train, loss=loss)

    found = one("C1", *cells(0.05))
    assert found["C1"].verdict == S and len(found) == 17
    assert found["C1"].median == pytest.approx(5)
    assert one("C1", *cells(-0.05))["C1"].verdict == C
    assert one("C1", *cells(0.0))["C1"].verdict == U


def test_robustness_compares_the_report_with_what_should_have_been_run():
    def cells(lost: float):
        for norm, by in (("none", 0.05), ("batch", lost)):
            own = REPORT_BATCH if norm == "batch" else {}
            bad: dict[str, Any] = {**REPORT, **own, "standardize": "feature"}
            yield frame(norm, **bad, bn_eval=("batch",), test=spread(0.7 - by))
            yield frame(norm, **CIFAR, test=spread(0.7))

    assert one("H5", *cells(0.01))["H5.2"].median == pytest.approx(4)
    assert one("H5", *cells(0.01))["H5.2"].verdict == S
    assert one("H5", *cells(0.09))["H5.2"].verdict == C


def test_the_table():
    verdicts = ledger([])
    table = to_table(verdicts)
    assert list(table.columns) == list(Verdict._fields)
    assert list(table["id"]) == [v.id for v in verdicts]
    (row,) = table[table["id"] == "C4"].to_dict("records")
    assert row["needs"] == ", ".join(CLAIMS["C4"].needs) and row["runs"] == ""


def call(capsys, *words) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stop:
        flags.run(main, flag_values(), program="normlab.claims", doc="", argv=words)
    out, err = capsys.readouterr()
    return int(stop.value.code or 0), out, err


def test_the_command(capsys, tmp_path):
    path = tmp_path / "new" / "ledger.csv"
    status, out, _ = call(capsys, f"--out={path}")
    lines = out.splitlines()
    assert status == 0 and lines[-1] == f"ledger: {path}"
    assert lines[0].split()[:2] == ["C1", "undecided"]
    assert lines[0].endswith(CLAIMS["C1"].sentence)
    assert lines[-2].startswith("missing: experiments/report_bn.flags, ")
    written = path.read_text(encoding="utf-8").splitlines()
    assert written[0].startswith("id,sentence,source,verdict,statistic,unit,median,")
    assert len(written) == 1 + len(lines) - 2
    status, _, err = call(capsys, f"--run={tmp_path}")
    assert status == 1 and "not a run directory" in err and err.count("\n") == 1
