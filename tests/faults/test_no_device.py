"""The environment names devices that are not there: one line, whatever the value."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults import small

pytestmark = pytest.mark.faults

# Values that find nothing on any machine, once its GPUs are hidden.
NOTHING = [
    *(("JAX_PLATFORMS", v) for v in ("cuda", "tpu", "rocm", "gpu", "nonsense", ",")),
    *(("JAX_PLATFORMS", v) for v in ("cuda,tpu", "cpu,nonsense", " cpu", "CPU", "é")),
    *(("JAX_PLATFORM_NAME", v) for v in ("cuda", "gpu", "tpu", "nonsense")),
    ("JAX_DEFAULT_DEVICE", "gpu"),
    ("JAX_NUM_CPU_DEVICES", 0),
]
SOMETHING = [
    ("JAX_PLATFORMS", ""),
    ("JAX_PLATFORMS", "cpu"),
    ("JAX_PLATFORM_NAME", "cpu"),
    ("JAX_NUM_CPU_DEVICES", 2),
]
SWEEP = {"model": "small_cnn", "init": "standard", "devices": "auto"}
# Every command that computes, and one that only reads.
WORDS = {
    "sweep": [*small.words("run", **SWEEP), "--dry_run"],
    "analysis": ["--run=run", "--quantities=gradient_norm"],
    "landscape": ["--run=run"],
    "bench": ["--dataset=digits"],
    "bench.conv": [],
    "bench.whole": ["--dataset=digits"],
    "claims": [],
}
# JAX looks once in a process: all is imported once, and each try is a fork.
MANY = """
import importlib, json, os, sys, traceback
import jax
from absl.flags import FlagValues
from normlab.flags import define
from normlab.bench import torch_here
from tests.faults.commands import call, Command

torch_here.no_torch = lambda: None
words, tries = json.load(sys.stdin)
modules = {n: importlib.import_module(f"normlab.{n}.__main__") for n in words}

def flag_values(module):
    if hasattr(module, "flag_values"):
        return module.flag_values
    values = FlagValues()
    config = [v for k, v in vars(module).items() if k.endswith("Config")]
    define(config[0], values)
    return lambda: values

for name, variable, value in tries:
    read, write = os.pipe()
    child = os.fork()
    if not child:
        os.environ[variable] = str(value)
        jax.config.update(variable.lower(), value)
        command = Command(modules[name].main, flag_values(modules[name]))
        try:
            ended = call(f"normlab.{name}", command, words[name])[::2]
        except BaseException:
            ended = 1, traceback.format_exc()
        os.write(write, json.dumps([name, variable, value, *ended]).encode())
        os._exit(0)
    os.waitpid(child, 0)
    print(os.read(read, 100_000).decode(), flush=True)
"""


TRIES = [("sweep", *asked) for asked in NOTHING]
TRIES += [(name, *NOTHING[0]) for name in WORDS if name not in ("sweep", "claims")]
SOUND = [("sweep", *asked) for asked in SOMETHING]
# A command that computes nothing does not look for any.
SOUND.append(("claims", "JAX_PLATFORMS", "nonsense"))


@pytest.fixture(scope="module")
def ended(tmp_path_factory) -> list:
    """How each of `TRIES` and `SOUND` ended."""
    return ends(tmp_path_factory.mktemp("tries"), TRIES + SOUND)


def ends(folder: Path, tries: list) -> list:
    environment = {k: v for k, v in os.environ.items() if k != "JAX_PLATFORMS"}
    done = subprocess.run(
        [sys.executable, "-c", MANY],
        env=environment
        | {"CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": ":".join(sys.path)},
        input=json.dumps([WORDS, tries]),
        cwd=folder,
        capture_output=True,
        encoding="utf-8",
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_a_device_that_is_not_there_is_one_line(ended, tally):
    found = ended[: len(TRIES)]
    assert len(found) == len(TRIES)
    tally["devices that are not there"] += len(TRIES)
    for name, variable, value, status, said in found:
        start = f"normlab.{name}: error: JAX finds no device with {variable}={value}"
        assert status == 1 and said.startswith(start), (name, variable, value, said)
        assert said.count("\n") == 1 and said.endswith("\n")
        # JAX's reason alone: what it says around it names the value again.
        reason = said.removeprefix(start).strip(": \n")
        assert len(reason) < 90, said
        for words in ("Unable to initialize", "INTERNAL", "(set", "(you may"):
            assert words not in reason, said


def test_devices_that_are_there_are_used(ended):
    found = ended[len(TRIES) :]
    assert [(*one[:3], one[3]) for one in found] == [(*one, 0) for one in SOUND], found
