"""The scripts for a GPU: their sizes, what they train, and which claims need it."""

import functools
import importlib.util
import os
import subprocess
from pathlib import Path

import pandas as pd
import pytest

from normlab.claims import CLAIMS
from normlab.claims.claim import Claim, Side
from normlab.claims.compare import selected
from normlab.claims.cost import GPU, seconds
from normlab.claims.gpu import SCRIPTS
from normlab.claims.rules import LEAST_SEEDS
from normlab.claims.scale import RESNET, VGG

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "experiments" / "gpu"
FILES = sorted(
    path for path in FOLDER.glob("*.sh") if path.stem[:2] not in ("li", "00")
)
NAMES = [path.stem for path in FILES]
_spec = importlib.util.spec_from_file_location("size", FOLDER / "size.py")
assert _spec is not None and _spec.loader is not None
size = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(size)


def commands(path: Path, **more: str) -> dict[str, list[str]]:
    """Sweep -> its flags, as a script would give them to size.py."""
    environment = {**os.environ, "SIZE": "1", "PYTHON": "echo", **more}
    told = subprocess.run(
        ["bash", str(path)],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    parts = (line.split(": experiments/gpu/size.py ") for line in told.splitlines())
    return {name: words.split() for name, words in parts}


@functools.cache
def rows(name: str) -> pd.DataFrame:
    """The members that a script trains, as `Evidence` has them."""
    found = []
    for flags in commands(FOLDER / f"{name}.sh").values():
        config = size.config_of(flags)
        for cell in size.expand(config, size.SIZES):
            own = size.dataclasses.asdict(cell.config) | {"flagfile": flags[0]}
            left = own["train_size"] - own["validation"]
            own["epochs"] = round(own["steps"] * own["batch_size"] / left, 1)
            found += [own | size.dataclasses.asdict(m) for m in cell.members]
    return pd.DataFrame(found)


@functools.cache
def by_flagfile(name: str) -> dict[str, pd.DataFrame]:
    return {str(flags): table for flags, table in rows(name).groupby("flagfile")}


def own_scripts(claim: Claim, side: Side) -> list[str]:
    """The scripts that train a side, by its flagfile or by the scale of its claim."""
    if not claim.scale:
        return []
    found = []
    for script in NAMES:
        if claim.scale in (VGG, RESNET):
            table = rows(script)
        else:
            table = by_flagfile(script).get(f"--flagfile={side.flagfile}")
        table = None if table is None else selected(table, side)
        if table is not None and len(table) and not claim.scale.lacking(table):
            found.append(script)
    return found


def needed() -> dict[str, tuple[str, ...]]:
    """Claim -> the scripts of its sides, if there are some for each of them."""
    found, known = {}, {}
    for name, claim in CLAIMS.items():
        each = []
        for side in (side for part in claim.parts for side in part.sides):
            key = repr((claim.scale, side.flagfile, side.where))
            if key not in known:
                known[key] = own_scripts(claim, side)
            each.append(known[key])
        if all(each):
            found[name] = tuple(sorted(set().union(*each)))
    return found


def test_claims_name_the_scripts_that_train_their_networks():
    assert {name: SCRIPTS[name] for name in sorted(SCRIPTS)} == dict(
        sorted(needed().items())
    )


def test_the_scripts_of_a_claim_train_all_of_its_sides_with_new_seeds():
    for name, scripts in SCRIPTS.items():
        table = pd.concat([rows(script) for script in scripts])
        for part in CLAIMS[name].parts:
            for side in part.sides:
                new = set(selected(table, side)["seed"]) - CLAIMS[name].seen
                assert len(new) >= LEAST_SEEDS, (name, side.name)


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_a_script_says_its_size_and_fits_its_time(path):
    text = path.read_text(encoding="utf-8")
    times = []
    for name, flags in commands(path).items():
        assert f"# {name}: {size.main(flags)}\n" in text
        config = size.config_of(flags)
        took = seconds(size.members(config), GPU) + size.compiling(config)
        times.append(took)
    assert max(times) < 510
    assert sum(times) < 510 or "It\n# stops in time" in text or "It stops" in text


def test_a_size_that_cannot_be_told_is_an_error():
    with pytest.raises(subprocess.CalledProcessError):
        commands(FOLDER / "20_vgg_none.sh", PYTHON="false")


def test_flags_of_a_trial_replace_those_of_the_script():
    (flags,) = commands(FOLDER / "20_vgg_none.sh", EXTRA="--num_seeds=1").values()
    assert [one for one in flags if "num_seeds" in one] == ["--num_seeds=1"]


def test_a_trial_is_as_long_as_asked_and_evaluates_as_often():
    config = size.config_of(["--epochs=20", "--eval_epochs=0.5", "--dataset=cifar10"])
    assert size.shorter(config, 0.01) == ["--epochs=0.2", "--eval_epochs=0.005"]
    config = size.config_of(["--steps=2000", "--eval_every=500"])
    assert size.shorter(config, 0.01) == ["--steps=20", "--eval_every=5"]


STUB = """#!/bin/sh
case "$*" in
*size.py*) echo --epochs=0.2 ;;
*normlab.sweep*) echo "$*" >> "$LOG"; exit "${CODE:-0}" ;;
*normlab.store*) for x in "$@"; do case $x in --out=*) o=${x#--out=};; esac; done
  mkdir -p "$o" && touch "$o/sweep.json" ;;
esac
"""


@pytest.fixture
def start(tmp_path):
    """Starts 12 with a Python that only writes its commands into ``tmp_path/log``."""
    stub = tmp_path / "python"
    stub.write_text(STUB)
    stub.chmod(0o755)

    def run(code: int = 0, **more: str):
        env = {"PYTHON": str(stub), "OUT": str(tmp_path / "out"), "CODE": str(code)}
        env |= {"LOG": str(tmp_path / "log"), "RUNS": str(tmp_path / "runs"), **more}
        return subprocess.run(
            ["bash", str(FOLDER / "12_group_norm.sh")],
            env={**os.environ, **env},
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def test_a_script_goes_on_where_it_stopped(tmp_path, start):
    log = tmp_path / "log"
    stopped = start(code=130)
    assert stopped.returncode == 3
    assert "not done: new_report_gn new_proper_gn" in stopped.stdout
    late = start(LIMIT="10")
    assert late.returncode == 3 and len(log.read_text().splitlines()) == 2
    assert start().returncode == 0 and len(log.read_text().splitlines()) == 4
    again = start()
    assert again.returncode == 0 and again.stdout.count("done before") == 2
    assert len(log.read_text().splitlines()) == 4


def test_processes_share_the_cells_of_a_sweep(tmp_path, start):
    assert start(PROCESSES="3").returncode == 0
    lines = (tmp_path / "log").read_text().splitlines()
    first = sorted(line.split()[-1] for line in lines if "new_report_gn" in line)
    assert first == ["--shard=0/3", "--shard=1/3", "--shard=2/3"]
    again = start(PROCESSES="3")
    assert again.returncode == 0 and again.stdout.count("done before") == 2


def test_a_trial_is_never_taken_for_the_run(tmp_path, start):
    """Not even after its results have been copied to those that are kept."""
    for name in ("new_report_gn", "new_proper_gn"):
        (tmp_path / "kept" / name).mkdir(parents=True)
        (tmp_path / "kept" / name / "sweep.json").touch()
    kept = start(DONE=str(tmp_path / "kept"))
    assert kept.stdout.count("done before") == 2
    trial = start(DONE=str(tmp_path / "kept"), SCALE="0.01")
    assert trial.returncode == 0 and "done before" not in trial.stdout
    lines = (tmp_path / "log").read_text().splitlines()
    assert len(lines) == 2 and all("--epochs=0.2" in line for line in lines)


def test_a_sweep_of_which_one_process_stopped_is_not_done(tmp_path, start):
    stopped = start(code=130, PROCESSES="2")
    assert stopped.returncode == 3 and "not done: new_report_gn" in stopped.stdout
    assert len((tmp_path / "log").read_text().splitlines()) == 4
