"""Several runs in one figure: each is there by its name, or one line says why not."""

import logging
import re
from pathlib import Path

import pytest
from matplotlib.figure import Figure

import normlab
from normlab.errors import UserError
from normlab.figures import FIGURES, candidates, draw_all, plotted, together
from normlab.figures.__main__ import flag_values, main
from normlab.figures.colours import PALETTE, looks
from normlab.figures.paper import PaperStyle
from tests.called import called
from tests.figures import made
from tests.figures.seen import lines_of, words

NAMES = ("first", "second")
CELLS = {
    "plain": [made.cell(norm, seeds=2) for norm in ("none", "batch")],
    # As long, but with other rates, of which one is the same.
    "wide": [
        made.cell(n, lrs=(0.1, 0.2), seeds=2, width=2.0) for n in ("none", "layer")
    ],
    "other rates": [made.cell("none", lrs=(0.3,), seeds=2)],
    "linear": [made.cell(norm, **made.LINEAR) for norm in ("none", "batch")],
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("runs")
    quantities = {"linear": ("effective_smoothness",), "other rates": ("identities",)}
    return {
        name: made.write(folder / name, cells, quantities.get(name, made.FIELDS)).root
        for name, cells in CELLS.items()
    }


@pytest.fixture(scope="module")
def pair(runs):
    return together([runs["plain"], runs["wide"]], NAMES)


def test_every_figure_of_two_runs_has_both(pair):
    shown = 0
    for name in candidates(pair):
        table = plotted(name, pair)
        if table is None:
            continue
        shown += 1
        of_run = table["run"].where(table["run"] != "")
        assert set(of_run.dropna()) == set(NAMES), name
        ours = table.loc[table["run"] == "second", "setting"].str.split(", ")
        assert set(ours.str[0]) <= {"none", "layer"}
        assert set(ours.str[-1]) == {"second"}
    assert shown >= 12


def test_a_run_keeps_its_numbers_beside_another(runs, pair):
    alone = plotted("curves", together([runs["wide"]]))
    both = plotted("curves", pair)
    assert alone is not None and both is not None
    found = both[both["run"] == "second"]
    keys = ["metric", "point", "epoch"]
    expected = alone.assign(setting=alone["setting"] + ", second")
    same = ["setting", *keys, "median", "low", "high", "n"]
    expected, found = (
        table[same].sort_values(["setting", *keys], ignore_index=True)
        for table in (expected, found)
    )
    assert len(found) > 4 and found.equals(expected)


def test_what_a_run_shares_is_told_by_its_name_and_in_the_caption(pair):
    table = plotted("curves", pair)
    assert table is not None
    assert not table["setting"].str.contains("width").any()
    assert (
        table["where"].iloc[0]
        == (
            "first: digits, small_cnn, batches of 10; "
            "second: digits, small_cnn of width 2, batches of 10"
        )
        or "of width 2" in table["where"].iloc[0]
    )


def test_the_runs_are_told_apart(runs):
    folders = [runs["plain"], runs["wide"]]
    figure = normlab.figure("curves", folders, names=["A", "B"])
    lines = {line.get_label(): line for line in figure.axes[0].get_lines()}
    by_name = [lines[f"none, {name}"] for name in "AB"]
    assert len({line.get_color() for line in by_name}) == 1
    assert len({str(line.get_linestyle()) for line in by_name}) == 2
    assert {f"none, {x}" for x in "AB"} <= set(words(figure).split("\n"))
    assert lines_of(figure.axes[0])["batch, A"]


def test_one_run_is_as_without_a_name(runs):
    table = plotted("curves", together([runs["plain"]], ["a name"]))
    assert table is not None and "run" not in table
    assert set(table["setting"]) == {"none", "batch"}


@pytest.mark.parametrize(
    ("name", "others", "said"),
    [
        # It is for classifiers, and so shows one run only.
        (
            "santurkar_4",
            "linear",
            "cannot show these runs together: second has no data",
        ),
        # One learning rate is shown, and there is no common one.
        ("identity_slack", "other rates", "have no point in common"),
        ("sharpness", "linear", "hessian_top was not measured in"),
    ],
)
def test_a_figure_that_cannot_hold_both_says_so(name, others, said, runs, caplog):
    sources = together([runs["plain"], runs[others]], NAMES)
    with pytest.raises(UserError, match=said) as stop:
        plotted(name, sources, asked=True)
    assert str(stop.value).startswith(f"--figures={name}: ")
    with caplog.at_level(logging.WARNING):
        if name in candidates(sources):
            assert plotted(name, sources) is None
    start = re.compile(rf"figure {name} (of first, second )?is left out: ")
    lines = [x for x in caplog.messages if start.match(x)]
    assert len(lines) == 1 and "\n" not in lines[0]


def test_the_command(runs, capsys, tmp_path, quick):
    folders = [f"--run={runs[name]}" for name in ("plain", "wide")]
    line = [*folders, "--figures=curves,lr_sensitivity", f"--out={tmp_path}"]
    assert called(main, flag_values(), line) == 0
    out, err = capsys.readouterr()
    assert out.count("figure: ") == 2 and err == ""
    text = (tmp_path / "curves.csv").read_text()
    assert "batch, plain" in text and "layer, wide" in text


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--run={plain}", "--run={plain}"], "plain is given twice"),
        (["--run={plain}", "--run={wide}", "--name=a"], "1 times for 2 runs"),
        (["--run={plain}", "--run={wide}", "--name=a", "--name=a"], "are called 'a'"),
        (["--run={plain}", "--run={wide}", "--name=a,b", "--name=c"], "no comma"),
        (["--run={plain}", "--run={plain}/cells"], "not a run directory"),
        (
            ["--run={plain}", "--style={plain}/none.toml"],
            "cannot be read: No such file",
        ),
    ],
)
def test_a_mistake_is_one_line(words, said, runs, capsys):
    formatted = [word.format(**runs) for word in words]
    assert called(main, flag_values(), formatted) == 1
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and said in err


def test_a_further_norm_has_one_colour_in_all_figures(runs, monkeypatch, tmp_path):
    """Also where the figures show different norms; and never that of another norm."""
    seen: list[set] = []
    sources = together([runs["plain"]])
    labels = ("none", "batch", "my:Norm", "your:Norm")
    monkeypatch.setattr(type(sources), "labels", labels)

    def draw(table) -> Figure:
        shown = [labels[1:], labels[:1] + labels[2:], labels[3:]][len(seen)]
        seen.append({(x, look["color"]) for x, look in looks(shown).items()})
        return Figure()

    names = ["curves", "lr_sensitivity", "gradient_norm"]
    for name in names:
        monkeypatch.setitem(FIGURES, name, FIGURES[name]._replace(draw=draw))
    draw_all(sources, tmp_path, names, PaperStyle(formats=("svg",)))
    assert len(seen) == 3
    every = set.union(*seen)
    assert len(every) == len({color for _, color in every}) == 4
    assert {("none", PALETTE[0]), ("batch", PALETTE[1])} < every
