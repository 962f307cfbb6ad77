"""A style: what a figure for a paper looks like, and mistakes in one line."""

import io
import itertools
import re
import zlib
from pathlib import Path
from typing import Any

import matplotlib
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

import normlab
from normlab.errors import UserError
from normlab.figures import FIGURES, Sources, figure, plotted, style_of
from normlab.figures.__main__ import flag_values, main
from normlab.figures.colours import PALETTE, looks
from normlab.figures.fitting import latex_text
from normlab.figures.headings import HEADLINE
from normlab.figures.paper import drawing_with
from normlab.figures.style import drawn
from tests.called import called
from tests.figures import made

NARROW = {"width": 3.3, "font_size": 8}
TRIED = [
    *("curves", "lr_sensitivity", "gradient_norm"),
    *("santurkar_4", "smoothness_by_eta", "santurkar_11"),
]


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    return made.write(folder, made.RUNS["plain"], ("effective_smoothness",)).root


def texts_of(figure: Figure) -> list[Text]:
    """The text that is visible, without ticks outside of the axes."""
    unseen = set()
    for ax in figure.axes:
        axes: tuple[Any, ...] = (ax.xaxis, ax.yaxis)
        for axis in axes:
            updated = axis._update_ticks() if ax.get_visible() else ()
            seen = [id(tick) for tick in updated]
            for tick in (*axis.majorTicks, *axis.minorTicks):
                for label in (tick.label1, tick.label2):
                    if id(tick) not in seen or not label.get_visible():
                        unseen.add(id(label))
    return [
        text
        for text in figure.findobj(Text)
        if isinstance(text, Text) and text.get_text().strip()
        and text.get_visible() and id(text) not in unseen
    ]  # fmt: skip


def faults(figure: Figure) -> list[tuple[str, ...]]:
    """Texts that are cut by the figure's edge, or that overlap."""
    figure.draw_without_rendering()
    width, height = figure.get_size_inches() * figure.dpi
    boxes = [(text.get_text(), text.get_window_extent()) for text in texts_of(figure)]
    cut = [
        (text,)
        for text, box in boxes
        if box.x0 < -1 or box.y0 < -1 or box.x1 > width + 1 or box.y1 > height + 1
    ]
    # The caption begins with empty lines, on which the headline is.
    named = [text.get_text() for text in figure.texts if text.get_gid() == HEADLINE]
    headings = {figure.get_suptitle(), *named}
    return cut + [
        (one, other)
        for (one, a), (other, b) in itertools.combinations(boxes, 2)
        if {one, other} != headings
        and min(a.x1, b.x1) - max(a.x0, b.x0) > 1
        and min(a.y1, b.y1) - max(a.y0, b.y0) > 1
    ]


@pytest.mark.parametrize("name", TRIED)
def test_a_narrow_figure_cuts_nothing(name, run):
    shown = figure(name, run, style=NARROW)
    assert shown.get_size_inches()[0] == 3.3
    assert faults(shown) == []
    sizes = {text.get_fontsize() for text in texts_of(shown)}
    assert sizes == {8.0}
    heights = [ax.get_position().height for ax in shown.axes if ax.get_visible()]
    if name != "santurkar_11":  # whose bar of colours is low
        assert min(heights) * shown.get_size_inches()[1] > 0.75


@pytest.mark.parametrize("title", [True, False])
def test_what_has_no_room_is_told(title, run, caplog):
    shown = figure("curves", run, style={"width": 1.6, "title": title})
    assert len(shown.axes) == 2  # of 4, with a column for each learning rate
    said = "1 of 2 shown"
    assert caplog.messages == [f"figure curves in this style: {said}"]
    assert (said in shown.get_suptitle()) == title
    caplog.clear()
    figure("curves", run)
    assert caplog.messages == []


def test_the_search_for_faults_finds_some():
    shown = Figure(figsize=(2, 2))
    shown.text(0.4, 0.5, "a word")
    shown.text(0.5, 0.5, "another")
    shown.text(0.9, 0.1, "at the edge")
    assert sorted(faults(shown)) == [("a word", "another"), ("at the edge",)]


def test_a_style_of_every_key(run, tmp_path):
    file = tmp_path / "paper.toml"
    file.write_text(
        'width = 4\nfont = "serif"\nfont_size = 7\nlatex = false\ntitle = false\n'
        'palette = ["#111111", "#222222", "#333333"]\nformats = ["pdf", "svg"]\n'
        '[matplotlib]\nlines.linewidth = 0.5\n"axes.grid" = false\n'
    )
    words = [f"--run={run}", "--figures=curves", f"--out={tmp_path}"]
    assert called(main, flag_values(), [*words, f"--style={file}"]) == 0
    names = {path.name for path in tmp_path.glob("curves.*")}
    assert names == {"curves.pdf", "curves.svg", "curves.csv"}
    # Text in the SVG is text, and in the font.
    svg = (tmp_path / "curves.svg").read_text()
    assert ">test accuracy</text>" in svg and "serif" in svg

    shown = figure("curves", run, style=file)
    assert shown.get_size_inches()[0] == 4 and shown.get_suptitle() == ""
    lines = {x.get_label(): x for x in shown.axes[0].get_lines()}
    assert lines["none"].get_linewidth() == 0.5
    assert lines["none"].get_color() == "#111111"
    assert lines["batch"].get_color() == "#222222"
    assert lines["group (G=4)"].get_color() == "#333333"
    assert {text.get_fontfamily()[0] for text in texts_of(shown)} == {"serif"}
    # The same from a dict, and none of it stays.
    style = {"width": 4, "title": False, "font": "serif"}
    other = figure("curves", run, style=style)
    assert other.get_size_inches()[0] == 4 and other.get_suptitle() == ""
    usual = figure("curves", run)
    assert usual.get_size_inches()[0] != 4 and usual.get_suptitle() != ""
    assert looks(["none"])["none"]["color"] == PALETTE[0]


def test_a_named_font_and_a_named_palette(run):
    shown = figure("curves", run, style={"font": "DejaVu Serif", "palette": "tab10"})
    assert {text.get_fontfamily()[0] for text in texts_of(shown)} == {"DejaVu Serif"}
    tab = [matplotlib.colors.to_hex(x) for x in matplotlib.colormaps["tab10"].colors]  # type: ignore[attr-defined]
    colors = [x.get_color() for x in shown.axes[0].get_lines()[:3]]
    assert colors == tab[:3]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("wdith = 3", "unknown key 'wdith'; known: width, font,"),
        ("width = 0.1", "width must be a number from 1 to 40, not 0.1"),
        ("width = true", "width must be a number"),
        ('font_size = "8"', "font_size must be a number from 4 to 40, not '8'"),
        ('title = "no"', "title must be true or false, not 'no'"),
        ("latex = 1", "latex must be true or false"),
        ('font = "No Such Font"', "no font called 'No Such Font' is installed"),
        ("font = 3", "font must be the name of a font"),
        ('palette = ["#12"]', "'#12' is not a colour"),
        ('palette = ["red", "red"]', "a colour is listed twice"),
        ('palette = "nothing"', "no palette 'nothing'"),
        ('palette = "viridis"', "'viridis' is a scale of colours"),
        ("palette = 3", "palette must be a list of colours"),
        ('formats = ["gif"]', "unknown format 'gif'; known: png, pdf, svg, eps"),
        ("formats = []", "formats must be a list"),
        ("[matplotlib]\nno.such = 1", "a style cannot set 'no.such'"),
        ('[matplotlib]\nlines.linewidth = "thick"', "lines.linewidth"),
        ("[matplotlib]\nfont.size = 3", "use the key font_size in place of font.size"),
        ('[matplotlib]\nbackend = "svg"', "a style cannot set 'backend'"),
        ("matplotlib = 3", "matplotlib must be a table"),
        ("width 3", "is not TOML"),
        (b"\xff\xfe", "is not text"),
    ],
)
def test_a_mistake_is_one_line(text, said, run, tmp_path, capsys):
    file = tmp_path / "paper.toml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    assert called(main, flag_values(), [f"--run={run}", f"--style={file}"]) == 1
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1
    assert said in err and f"--style={file}" in err


def test_latex_that_is_not_installed_is_one_line(monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UserError, match="latex = true needs latex, dvipng, kpsewhich"):
        style_of({"latex": True})


def test_text_for_latex(run, monkeypatch):
    """All text is escaped, and is set by LaTeX, which need not run for that."""
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")
    style = style_of({"latex": True})
    table = plotted("gradient_norm", Sources(run), asked=True)
    assert table is not None
    with drawing_with(style):
        shown = drawn("gradient_norm", FIGURES["gradient_norm"].draw, table)
    texts = [text for text in shown.findobj(Text) if text.get_text()]  # type: ignore[attr-defined]
    assert texts and all(text.get_usetex() for text in texts)  # type: ignore[attr-defined]
    words = "\n".join(text.get_text() for text in texts)  # type: ignore[attr-defined]
    assert words.isascii() and r"small\_cnn" in words and r"$\theta$" in words
    assert not re.search(r"(?<!\\)[_%#&]", re.sub(r"\$[^$]*\$", "", words))
    assert latex_text("50% of |g|_2") == r"50\% of $|$g$|$\_2"


def streams(pdf: bytes) -> bytes:
    """A PDF with its compressed streams unpacked."""
    unpacked = []
    for found in re.finditer(rb"stream\r?\n(.*?)endstream", pdf, re.DOTALL):
        try:
            unpacked.append(zlib.decompress(found.group(1)))
        except zlib.error:
            unpacked.append(found.group(1))
    return pdf + b"".join(unpacked)


def test_fonts_of_a_pdf_are_embedded_truetype(run, tmp_path):
    normlab.figure("gradient_norm", run, out=tmp_path)
    pdf = streams((tmp_path / "gradient_norm.pdf").read_bytes())
    assert b"/FontFile2" in pdf and b"/Type3" not in pdf
    fonts = set(re.findall(rb"/Subtype */(Type\d|TrueType|CIDFontType\d)\b", pdf))
    assert fonts <= {b"Type0", b"TrueType", b"CIDFontType2"} and fonts
    # The search would find such a font.
    other = io.BytesIO()
    with matplotlib.rc_context({"pdf.fonttype": 3}):
        plain = Figure()
        plain.text(0, 0, "a word")
        plain.savefig(other, format="pdf")
    assert b"/Type3" in streams(other.getvalue())
