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
from tests.compiled_once import compiled_once
from tests.faults import small
from tests.landscape import made

STEP = 24 * 1024


def attempt(out: Path) -> tuple[int, str]:
    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
        status = small.sweep(out)
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


def main(disk: Path, elsewhere: Path) -> None:
    whole = elsewhere / "whole"
    assert attempt(whole)[0] == 0
    out, errors = disk / "run", []
    for number in range(100):
        fill(disk, number % 2 * STEP // 2 + STEP * (number > 0))
        before = complete(out)
        status, said = attempt(out)
        kept = complete(out)
        assert all(kept.get(name) == content for name, content in before.items())
        if status == 0:
            break
        assert status == 1, said
        small.one_line(said)
        errors.append(said.splitlines()[-1])
    small.pd.testing.assert_frame_equal(load(out), load(whole), check_exact=True)
    leftovers = [str(f) for f in out.rglob("*") if "tmp" in f.name]
    print(json.dumps({"errors": errors, "leftovers": leftovers, "status": status}))


if __name__ == "__main__":
    jax.devices()
    with contextlib.ExitStack() as stack:
        for patch in made.models():
            stack.enter_context(patch)
        stack.enter_context(compiled_once(sys.argv[2] + "/compiled"))
        main(*map(Path, sys.argv[1:]))
