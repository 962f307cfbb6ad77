"""A sweep on a disk that is full, again and again, with a little more room each time.

Run by `test_full_disk` in a namespace: python -m tests.faults.on_full_disk DISK OUT.
Prints one JSON object.
"""

import contextlib
import io
import json
import os
import sys
from pathlib import Path

import jax

from normlab.store import load
from tests import tiny
from tests.compiled_once import compiled_once
from tests.faults import small


def attempt(out: Path) -> tuple[int, str]:
    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
        status = small.sweep(out, figures=True)
    return status, said.getvalue()


def complete(out: Path) -> dict[str, bytes]:
    """The files of the cells that are said to be complete."""
    cells = [cell.parent for cell in out.glob("cells/*/cell.json")]
    return {
        str(file): file.read_bytes()
        for cell in cells
        if '"complete"' in (cell / "cell.json").read_text()
        for file in small.files(cell)
        if file.name != "lock"
    }


def fill(disk: Path, free: int) -> None:
    """Leaves ``free`` bytes of the disk."""
    ballast = disk / "ballast"
    ballast.unlink(missing_ok=True)
    stat = os.statvfs(disk)
    with open(ballast, "wb") as file:
        file.write(b"\0" * max(stat.f_bavail * stat.f_frsize - free, 0))


def until_done(disk: Path, out: Path) -> list[str]:
    """The errors of the starts, each with more room, until one ends well."""
    errors, free = [], 0
    while True:
        fill(disk, free)
        before = complete(out)
        status, said = attempt(out)
        kept = complete(out)
        assert all(kept.get(name) == content for name, content in before.items())
        if status == 0:
            return errors
        assert status == 1, said
        small.one_line(said)
        errors.append(said.splitlines()[-1])
        free += 4 * 1024 + free // 4


def main(disk: Path, elsewhere: Path) -> None:
    out, whole = disk / "run", elsewhere / "whole"
    assert attempt(whole)[0] == 0
    errors = until_done(disk, out)
    # Full only once all is trained.
    (out / "summary.csv").unlink()
    for file in small.files(out / "figures"):
        file.unlink()
    errors += until_done(disk, out)
    small.pd.testing.assert_frame_equal(load(out), load(whole), check_exact=True)
    for file in ("summary.csv", "figures/curves.csv", "figures/curves.png"):
        assert (out / file).read_bytes() == (whole / file).read_bytes()
    leftovers = [str(file) for file in out.rglob("*") if "tmp" in file.name]
    print(json.dumps({"errors": errors, "leftovers": leftovers}))


if __name__ == "__main__":
    jax.devices()
    with contextlib.ExitStack() as stack:
        for patch in tiny.models():
            stack.enter_context(patch)
        stack.enter_context(compiled_once())
        main(*map(Path, sys.argv[1:]))
