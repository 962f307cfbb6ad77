"""How a user wants the figures to look: a few keys in a TOML file, or a dict.

    width = 3.3            # of the figure, in inches
    font = "serif"         # a family: serif, sans-serif, or the name of a font
    font_size = 8          # of all text, in points
    latex = false          # LaTeX sets the text
    palette = ["#000000", "#0072B2", "#D55E00"]    # or a name: "tab10"
    title = false          # no caption above the panels
    formats = ["pdf"]      # png, pdf, svg or eps
    [matplotlib]
    lines.linewidth = 1.0  # any setting of matplotlib

Every key may be left out. The user's own matplotlib settings still change nothing.
"""

import contextlib
import logging
import shutil
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, cast

import matplotlib
from matplotlib import font_manager
from matplotlib.colors import ListedColormap, is_color_like, to_hex

from normlab.errors import UserError, one_line
from normlab.words import path_of

_log = logging.getLogger(__name__)

_GENERIC = ("serif", "sans-serif", "monospace")
_FORMATS = ("png", "pdf", "svg", "eps")
_WIDTHS, _SIZES = (1.0, 40.0), (4.0, 40.0)
# Settings of matplotlib that have a key of their own, or that no style may change.
_OWN = {
    "font.family": "font",
    "font.size": "font_size",
    "text.usetex": "latex",
    "figure.figsize": "width",
    "axes.prop_cycle": "palette",
    "savefig.format": "formats",
}
_NEVER = ("backend", "backend_fallback", "interactive", "toolbar")
_PROGRAMS = ("latex", "dvipng", "kpsewhich")  # that matplotlib needs for LaTeX


@dataclass(frozen=True)
class PaperStyle:
    """A checked style; the keys are described in this module's docstring.

    Raises:
      UserError: a value is wrong, a font is not installed, or LaTeX is not.
    """

    width: float | None = None
    font: str | None = None
    font_size: float | None = None
    latex: bool = False
    palette: tuple[str, ...] = ()
    title: bool = True
    formats: tuple[str, ...] = ("png", "pdf")
    matplotlib: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, (low, high) in {"width": _WIDTHS, "font_size": _SIZES}.items():
            value = getattr(self, name)
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if value is not None and not (number and low <= value <= high):
                what = f"a number from {low:g} to {high:g}"
                raise UserError(f"{name} must be {what}, not {value!r}")
        for name in ("latex", "title"):
            if not isinstance(getattr(self, name), bool):
                raise UserError(
                    f"{name} must be true or false, not {getattr(self, name)!r}"
                )
        object.__setattr__(self, "palette", _colors(self.palette))
        object.__setattr__(self, "formats", _formats(self.formats))
        object.__setattr__(self, "matplotlib", _checked(self.matplotlib))
        _check_font(self.font, self.latex)
        if self.latex and (lacking := [x for x in _PROGRAMS if not shutil.which(x)]):
            raise UserError(
                f"latex = true needs {', '.join(_PROGRAMS)}, but "
                f"{', '.join(lacking)} cannot be found; install a TeX distribution"
            )

    @property
    def settings(self) -> dict[str, Any]:
        """The settings of matplotlib that this style changes."""
        changes: dict[str, Any] = {}
        if self.font_size is not None:
            changes |= {"font.size": self.font_size, "axes.titlesize": self.font_size}
            changes |= {"figure.titlesize": self.font_size}
        if self.font is not None and self.font in _GENERIC:
            changes |= {"font.family": self.font}
            if self.font == "serif":
                changes |= {"mathtext.fontset": "dejavuserif"}
        elif self.font is not None:
            # The second font has the letters that the first may lack.
            changes |= {"font.family": [self.font, "DejaVu Sans"]}
            changes |= {"mathtext.fontset": "custom", "mathtext.rm": self.font}
            changes |= {"mathtext.it": f"{self.font}:italic"}
            changes |= {"mathtext.bf": f"{self.font}:bold"}
        if self.latex:
            changes |= {"text.usetex": True}
        return changes | dict(self.matplotlib)


def style_of(style: "PaperStyle | Mapping[str, Any] | str | Path | None") -> PaperStyle:
    """The style in a file or a dict; the usual style for None.

    Raises:
      UserError: the file cannot be read, or a key or value is wrong.
    """
    if style is None:
        return PaperStyle()
    if isinstance(style, PaperStyle):
        return style
    if isinstance(style, Mapping):
        return _made(style, "style")
    said = f"--style={style}"
    try:
        text = path_of(str(style)).read_bytes().decode("utf-8-sig")
        keys = tomllib.loads(text)
    except OSError as error:
        reason = error.strerror or error
        raise UserError(f"{said} cannot be read: {reason}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{said} is not text: {error.reason}") from error
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"{said} is not TOML: {one_line(error)}") from error
    return _made(keys, said)


def _made(keys: Mapping[str, Any], said: str) -> PaperStyle:
    known = [spec.name for spec in fields(PaperStyle)]
    for key in keys:
        if key not in known:
            raise UserError(f"{said}: unknown key {key!r}; known: {', '.join(known)}")
    try:
        return PaperStyle(**keys)
    except UserError as error:
        raise UserError(f"{said}: {error}") from error


_STYLE: ContextVar[PaperStyle | None] = ContextVar("style", default=None)
_NAME: ContextVar[str] = ContextVar("name", default="")
_NORMS: ContextVar[tuple[str, ...]] = ContextVar("norms", default=())


@contextlib.contextmanager
def drawing_with(style: PaperStyle, norms: Sequence[str] = ()) -> Iterator[None]:
    """Figures that are drawn and saved in the block have this style.

    Args:
      style: the style.
      norms: the labels of all norms of the runs, so that a norm has the same colour in
        every figure, whichever other norms the figure shows.
    """
    tokens = _STYLE.set(style), _NORMS.set(tuple(norms))
    try:
        yield
    finally:
        _STYLE.reset(tokens[0])
        _NORMS.reset(tokens[1])


@contextlib.contextmanager
def naming(name: str) -> Iterator[None]:
    """The figure that is drawn in the block is called ``name``, in messages."""
    token = _NAME.set(name)
    try:
        yield
    finally:
        _NAME.reset(token)


def tell_left_out(words: str) -> None:
    """Logs what a figure leaves out, if the style is why, or its caption is not drawn.

    Args:
      words: such as ``3 of 6 norms shown``.
    """
    if words and (current().width is not None or not current().title):
        _log.warning("figure %s in this style: %s", _NAME.get(), words)


def current() -> PaperStyle:
    """The style of `drawing_with`, or the usual style outside of it."""
    return _STYLE.get() or _USUAL


def known_norms() -> tuple[str, ...]:
    """The labels of norms given to `drawing_with`; () outside of it."""
    return _NORMS.get()


def _colors(palette: Any) -> tuple[str, ...]:
    if isinstance(palette, str):
        if palette not in matplotlib.colormaps:
            raise UserError(f"palette: matplotlib has no palette {palette!r}")
        named = matplotlib.colormaps[palette]
        if not isinstance(named, ListedColormap) or named.N > 64:
            raise UserError(
                f"palette: {palette!r} is a scale of colours; give one with separate "
                "colours, such as 'tab10', or a list"
            )
        colors = cast(Sequence[Any], named.colors)
        return tuple(map(to_hex, colors))
    if not isinstance(palette, list | tuple):
        raise UserError(f"palette must be a list of colours, not {palette!r}")
    for color in palette:
        if not isinstance(color, str) or not is_color_like(color):
            raise UserError(f"palette: {color!r} is not a colour")
    if len(set(palette)) < len(palette):
        raise UserError("palette: a colour is listed twice")
    return tuple(palette)


def _formats(formats: Any) -> tuple[str, ...]:
    known = ", ".join(_FORMATS)
    if not isinstance(formats, list | tuple) or not formats:
        raise UserError(f"formats must be a list of {known}, not {formats!r}")
    for kind in formats:
        if kind not in _FORMATS:
            raise UserError(f"formats: unknown format {kind!r}; known: {known}")
    return tuple(dict.fromkeys(formats))


def _checked(settings: Any) -> dict[str, Any]:
    if not isinstance(settings, Mapping):
        raise UserError(f"matplotlib must be a table of settings, not {settings!r}")
    flat = dict(_flat(settings))
    for key, value in flat.items():
        if key in _OWN:
            raise UserError(f"matplotlib: use the key {_OWN[key]} in place of {key}")
        if key in _NEVER or key not in matplotlib.rcParams:
            raise UserError(f"matplotlib: a style cannot set {key!r}")
        try:
            with matplotlib.rc_context(cast(Any, {key: value})):
                pass
        except Exception as error:
            raise UserError(f"matplotlib: {one_line(error)}") from error
    return flat


def _flat(settings: Mapping[str, Any], start: str = "") -> Iterator[tuple[str, Any]]:
    """The settings by their full names; TOML reads ``a.b = 1`` as a table a with b."""
    for key, value in settings.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{start}{key}.")
        else:
            yield f"{start}{key}", value


def _check_font(font: Any, latex: bool) -> None:
    if font is None or font in _GENERIC:
        return
    if not isinstance(font, str):
        raise UserError(f"font must be the name of a font, not {font!r}")
    if latex:
        raise UserError(
            f"font: with latex = true, give {', '.join(_GENERIC)}, and load {font!r} "
            "by text.latex.preamble in [matplotlib]"
        )
    try:
        font_manager.findfont(font, fallback_to_default=False)
    except ValueError:
        raise UserError(f"font: no font called {font!r} is installed") from None


_USUAL = PaperStyle()
