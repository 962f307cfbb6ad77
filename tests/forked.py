"""Many short processes for the price of one start.

A start costs seconds, nearly all of them imports. One process imports once, and forks
for each job, which then goes on as a process of its own would.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple


class Job(NamedTuple):
    """One process.

    Attributes:
      words: its command line: ``-m MODULE ...`` or ``-c CODE ...``, as Python's.
      env: variables that it has beside those of all.
      folder: where it starts; by default where all do.
    """

    words: Sequence[str]
    env: Mapping[str, str] = {}
    folder: str = "."


_PARENT = """
import json, os, runpy, sys, traceback, warnings
imports, results, jobs = json.load(sys.stdin)
exec(imports)
warnings.simplefilter("ignore")  # of jax, that forks are unsafe once it has threads

for name, (words, env, folder) in jobs.items():
    child = os.fork()
    if not child:
        for number, kind in ((1, "out"), (2, "err")):
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
            os.dup2(os.open(f"{results}/{name}.{kind}", flags), number)
        os.environ.update(env)
        os.chdir(folder)
        how, what, *sys.argv[1:] = words
        warnings.resetwarnings()
        status = 0
        try:
            if how == "-c":
                exec(what, {"__name__": "__main__"})
            else:
                runpy.run_module(what, run_name="__main__", alter_sys=True)
        except SystemExit as stop:
            status = stop.code or 0
        except BaseException:
            traceback.print_exc()
            status = 1
        sys.stdout.flush()
        os._exit(status)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    with open(f"{results}/{name}.status", "w") as file:
        file.write(str(status))
"""


def forked(
    imports: str,
    jobs: Mapping[str, Job],
    results: Path,
    folder: Path,
    env: Mapping[str, str] | None = None,
) -> dict[str, subprocess.CompletedProcess[str]]:
    """How each of ``jobs`` ended, by its name.

    Args:
      imports: statements that are run once, before all of them.
      results: an empty folder for what they say.
      folder: where they start.
      env: the variables of all; by default those of this process.
    """
    subprocess.run(
        [sys.executable, "-c", _PARENT],
        cwd=folder,
        env={**(os.environ if env is None else env), "PYTHONPATH": ":".join(sys.path)},
        input=json.dumps([imports, str(results), jobs]),
        check=True,
        text=True,
        timeout=600,
    )
    found = {}
    for name, job in jobs.items():
        status, out, err = (
            (results / f"{name}.{kind}").read_text()
            for kind in ("status", "out", "err")
        )
        found[name] = subprocess.CompletedProcess(job.words, int(status), out, err)
    return found
