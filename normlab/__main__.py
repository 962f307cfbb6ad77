"""Runs a command: ``normlab sweep ...`` is ``python -m normlab.sweep ...``."""

import difflib
import os
import runpy
import sys

from normlab import __version__, commands
from normlab.interrupt import at_start


def main(script: str = "normlab") -> int:
    """Runs the command that the command line names, as ``python -m`` would.

    Args:
      script: how the user called this.

    Returns:
      the exit status if no command ran; a command exits by itself.
    """
    name, *words = sys.argv[1:] or ["--help"]
    if name == "--version":
        print(__version__)
        return 0
    known = commands.known()
    if name in ("--help", "-h", "help"):
        print(f"{script} COMMAND --flag=value ...   (COMMAND --help: its flags)\n")
        for command, purpose in known.items():
            print(f"  {command:19} {purpose}")
        return 0
    if name not in known:
        close = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {close[0]}?" if close else f"known: {', '.join(known)}"
        print(f"normlab: error: no command {name!r}; {hint}", file=sys.stderr)
        return 1
    at_start(f"normlab.{name}")
    commands.call_by(script)
    # A script lacks what `python -m` has: modules of the working directory.
    if not sys.flags.safe_path and sys.path[:1] not in ([""], [os.getcwd()]):
        sys.path.insert(0, os.getcwd())
    sys.argv[1:] = words
    runpy.run_module(f"normlab.{name}", run_name="__main__", alter_sys=True)
    return 0


if __name__ == "__main__":
    sys.exit(main("python -m normlab"))
