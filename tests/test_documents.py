"""Documents and flagfiles point to places that exist, and BUILD.md stays short."""

import re
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FLAGFILES = sorted(ROOT.glob("experiments/*.flags"))
DOCUMENTS = [ROOT / "README.md", ROOT / "BUILD.md", *sorted(ROOT.glob("docs/*.md"))]
SOURCES = sorted(ROOT.glob("normlab/**/*.py"))

# A Markdown link, relative to its file; a path in running text, from the root.
_LINK = re.compile(r"\]\((?!https?://)([^()\s#]*)#?([^()\s]*)\)")
_PATH = re.compile(r"\b(docs/[\w/-]+\.md)(?:#([\w-]+))?")


def anchors(markdown: str) -> set[str]:
    """The anchors of all headings, by GitHub's rule.

    The heading in lower case, without punctuation, with hyphens for spaces. The second
    heading of the same text gets ``-1``, the third ``-2``.
    """
    prose = re.sub(r"^```.*?^```", "", markdown, flags=re.DOTALL | re.MULTILINE)
    seen: Counter[str] = Counter()
    names = set()
    for heading in re.findall(r"^#{1,6} +(.+?) *$", prose, flags=re.MULTILINE):
        name = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        names.add(f"{name}-{seen[name]}" if seen[name] else name)
        seen[name] += 1
    return names


def broken_pointers(path: Path, root: Path) -> list[str]:
    """The pointers in a file whose target or heading does not exist."""
    text = path.read_text(encoding="utf-8")
    pointers = [(root / name, anchor) for name, anchor in _PATH.findall(text)]
    if path.suffix == ".md":
        pointers += [
            (path.parent / name if name else path, anchor)
            for name, anchor in _LINK.findall(text)
        ]
    return [
        f"{target}#{anchor}"
        for target, anchor in pointers
        if not target.exists()
        or (anchor and anchor not in anchors(target.read_text(encoding="utf-8")))
    ]


def test_pointers_lead_somewhere():
    files = [*DOCUMENTS, *FLAGFILES, *SOURCES]
    broken = {path.name: broken_pointers(path, ROOT) for path in files}
    assert len(FLAGFILES) > 20 and len(SOURCES) > 100
    assert {name: pointers for name, pointers in broken.items() if pointers} == {}


def test_measured_flagfiles_point_to_their_results():
    for path in FLAGFILES:
        for line in path.read_text(encoding="utf-8").splitlines():
            assert "Measured" not in line or re.search(r"docs/\w+\.md#", line), line


def test_build_is_short():
    assert len((ROOT / "BUILD.md").read_bytes()) < 15_000


def test_readme_has_the_two_commands_that_ci_runs():
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    assert sum(line.startswith("python3 -m venv") for line in lines) == 2


def test_anchors_follow_githubs_rule():
    markdown = """
# What was measured
## What sets the level of Figure 4(c)?
### Santurkar's `VGG`
```
# a comment
```
## Twice
## Twice
"""
    assert anchors(markdown) == {
        "what-was-measured",
        "what-sets-the-level-of-figure-4c",
        "santurkars-vgg",
        "twice",
        "twice-1",
    }


@pytest.mark.parametrize(
    "text, count",
    [
        ("See [there](b.md#a-heading), [here](#top) and docs/b.md#a-heading.", 0),
        ("See [the page](https://example.com/none.md#nothing).", 0),
        ("See [there](b.md#no-heading).", 1),
        ("See [there](c.md).", 1),
        ("See [here](#bottom).", 1),
        ("Measured: see docs/b.md#no-heading, and docs/c.md.", 2),
    ],
)
def test_a_pointer_to_nowhere_is_found(tmp_path, text, count):
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "b.md").write_text("# A heading\n", encoding="utf-8")
    (folder / "a.md").write_text(f"# Top\n\n{text}\n", encoding="utf-8")
    assert len(broken_pointers(folder / "a.md", tmp_path)) == count
