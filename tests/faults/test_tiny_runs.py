"""Sweeps of odd but valid settings, truly run: each ends well, or in one line."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from normlab.api import sweep as steps
from normlab.norms import NORMS
from normlab.settings import RecordingSettings, declared
from normlab.sweep import backend
from tests.compiled_once import compiled_once
from tests.faults.commands import assert_fine, call, commands

pytestmark = pytest.mark.faults
STATISTICS = declared(RecordingSettings.__dataclass_fields__["eval_statistics"]).known

SIZE = 30
QUANTITIES = ("gradient_norm", "parameter_norm", "activation_moments", "loss_range")


@pytest.fixture(scope="module", autouse=True)
def _quick():
    """Without figures; programs that two runs share are compiled once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(steps, "draw_all", lambda *args, **kwargs: ([], []))
        patch.setattr(backend, "_use_compilation_cache", lambda options: None)
        with compiled_once():
            yield


def flag(name, values):
    return st.sampled_from(values).map(lambda value: f"--{name}={value}")


SETTINGS = (
    flag("dataset", ["digits", "gaussian"]),
    flag("norm", sorted(NORMS)),
    flag("batch_size", [1, 2, 7, SIZE - 1, SIZE]),
    flag("groups", [1, 2, 3, 5, 7, 16]),
    flag("steps", [1, 2]),
    flag("eval_every", [0, 1, 2, 100]),
    flag("eval_batch_size", [1, 7, SIZE, 10**6]),
    flag("train_eval_size", [1, 7, 10**6]),
    flag("eval_statistics", [*STATISTICS, ",".join(STATISTICS)]),
    flag("quantities", ["", *QUANTITIES, ",".join(QUANTITIES)]),
    flag("path_every", [0, 1, 5]),
    flag("lr", ["0", "1e-37", "1e30", "3e38", "0.1,0.01,1"]),
    flag("weight_decay", ["0", "3e38"]),
    flag("epsilon", ["0", "1e-37", "1e-5", "3e38"]),
    flag("optimizer", ["adam", "sgd", "momentum", "adamw"]),
    flag("standardize", ["channel", "feature", "none"]),
    flag("augment", ["none", "flip_crop"]),
    flag("execution", ["vmap", "map", "loop"]),
    flag("member_chunk", ["auto", "1", "2"]),
    flag("call_steps", [1, 3]),
)
MODELS = ["small_cnn", "deep_linear", "resnet20"]


def ends_well(folder, words) -> None:
    """The sweep, and the same command again, which finds nothing left to do."""
    out = [f"--out={folder / 'run'}", "--num_seeds=1", "--width=0.05"]
    command = commands()["normlab.sweep"]
    for _ in range(2):
        ended = call("normlab.sweep", command, [f"--train_size={SIZE}", *words, *out])
        if ended.status:
            assert_fine("normlab.sweep", ended)


@pytest.mark.slow
@given(st.tuples(flag("model", MODELS), *SETTINGS))
@settings(
    max_examples=30,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
def test_tiny_sweeps(tmp_path_factory, words):
    ends_well(tmp_path_factory.mktemp("tiny"), words)
