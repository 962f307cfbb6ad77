"""The documentation site: ``python -m sphinx -W --keep-going docs runs/site``."""

import importlib
import os

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.util.docutils import SphinxDirective

import normlab
from normlab import commands
from normlab.usage import with_default

project = "normlab"
author = "The normlab authors"
copyright = f"2026, {author}"
release = normlab.__version__

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
myst_enable_extensions = ["dollarmath"]
# Headings have the anchors that GitHub gives them.
myst_heading_anchors = 4
# The notebooks are stored with their outputs (python -m tests.api.notebooks). With
# NORMLAB_NOTEBOOKS=force they are run again (this needs the extra `notebook`).
nb_execution_mode = os.environ.get("NORMLAB_NOTEBOOKS", "off")
nb_execution_in_temp = True
nb_execution_timeout = 600
nb_execution_raise_on_error = True

html_theme = "furo"
html_title = "normlab"
# A page needs nothing from elsewhere: formulas are MathML, which browsers draw.
html_math_renderer = "mathml"

# Flags begin with two hyphens, not with a dash.
smartquotes = False
# Code whose language is not named is shown as it is.
highlight_language = "none"

autodoc_member_order = "bysource"
autodoc_typehints = "none"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
# Docstrings name attributes and values in single backquotes.
default_role = "code"


class Flags(SphinxDirective):
    """The flags of a command, as its ``--helpfull`` has them."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        command = importlib.import_module(f"normlab.{self.arguments[0]}.__main__")
        values = command.flag_values()
        lines, last = [""], ""
        for name in values:
            flag = values[name]
            group = getattr(flag, "group", None)
            if group is not None and group.line != last:
                last = group.line
                lines += ["", f"**{last}**", ""]
            text = " ".join((flag.help or "").split())
            text = text.replace("*", r"\*").replace("<", r"\<")
            lines.append(f"- `{with_default(name, flag.default)}`: {text}")
        return self.parse_text_to_nodes("\n".join(lines))


class Commands(SphinxDirective):
    """The commands, each with its purpose."""

    def run(self) -> list[nodes.Node]:
        lines = [
            f"- `normlab {name}`: {text}" for name, text in commands.known().items()
        ]
        return self.parse_text_to_nodes("\n".join(lines))


def _inline(translator, node) -> None:
    translator.body.append(convert(node.astext()))
    raise nodes.SkipNode


def _display(translator, node) -> None:
    formula, _, rest = node.astext().partition(r"\tag{")
    number = f"({rest.rstrip('} ')})" if rest else ""
    row = "display: flex; overflow: auto hidden; padding: 0.3em 0"
    shown = convert(formula, display="block")
    translator.body.append(
        f'<div style="{row}"><span style="flex: 1">{shown}</span>{number}</div>'
    )
    raise nodes.SkipNode


def setup(app) -> None:
    """Sphinx calls it."""
    app.add_directive("normlab-flags", Flags)
    app.add_directive("normlab-commands", Commands)
    app.add_html_math_renderer(
        "mathml", inline_renderers=(_inline, None), block_renderers=(_display, None)
    )
