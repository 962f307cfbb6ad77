"""Every peer trains what normlab trains, and starts anew when told to."""

import numpy as np
import pytest

from normlab.bench.block import _reason
from normlab.bench.peers import PEERS, find_peers
from normlab.bench.same import loss_gaps
from normlab.bench.task import held_bytes, normlab_contender
from normlab.bench.timing import timed_run, warm_up
from normlab.errors import UserError
from normlab.models import INITS
from normlab.run_options import RunOptions
from tests.bench.small import task
from tests.marks import slow

# Float32 rounding in eleven steps stays far below.
CLOSE = 2e-4
MARKS = {
    "torch_compiled": (
        pytest.mark.slow,  # a compiler runs
        pytest.mark.filterwarnings("ignore"),  # it counts on its own being ignored
    )
}


@pytest.fixture(scope="module", params=["batch", slow("group"), slow("none")])
def work(request, dataset):
    return task(dataset, request.param)


@pytest.fixture(scope="module")
def reference(work) -> np.ndarray:
    return warm_up(normlab_contender(work), work.steps).losses


@pytest.mark.parametrize(
    ("name", "variant"),
    [
        pytest.param(name, variant, marks=MARKS.get(name, ()))
        for name, peer in PEERS.items()
        for variant in peer.variants
    ],
)
def test_a_peer_computes_what_normlab_does(name, variant, work, reference):
    if reason := PEERS[name].why_not():
        pytest.skip(reason)
    contender = PEERS[name].variants[variant](work)
    found = warm_up(contender, work.steps)
    loss_gaps({"normlab": reference, name: found.losses}, CLOSE)
    assert found.compile_seconds >= 0 and found.ms > 0
    # From one start each member goes its own way: the rates have arrived.
    one, other = found.losses
    assert one[0] == pytest.approx(other[0], rel=1e-5)
    assert one[-1] != pytest.approx(other[-1], rel=1e-2)
    again = timed_run(contender, 4)[1]
    np.testing.assert_allclose(again, found.losses[:, :4], rtol=CLOSE)
    if name.startswith("flax"):
        assert 0 < (contender.memory() or 0) < 2**30


@pytest.mark.slow
@pytest.mark.parametrize(("model", "norm"), [("vgg16", "batch"), ("resnet20", "group")])
def test_other_networks_are_the_same_in_pytorch(model, norm, dataset, monkeypatch):
    """With momentum and in float32, and with every product in bfloat16."""
    # The quick start has channels that are alike. Batch norm blows their rounding up.
    monkeypatch.setitem(INITS, "standard", INITS["glorot"])
    if reason := PEERS["torch_eager"].why_not():
        pytest.skip(reason)
    settings = {"model": model, "optimizer": "momentum", "width": 0.25, "steps": 3}
    # With few images, rounding grows through many layers of batch norm.
    work = task(dataset, norm, batch_size=20, **settings)
    contender = normlab_contender(work)
    losses = timed_run(contender, 3)[1]
    assert contender.twin is not None
    twin = contender.twin(3)
    assert losses[1, 0] == pytest.approx(losses[0, 0], rel=1e-5)
    assert abs(losses[1] / losses[0] - 1)[2] > 1e-3
    for peer, variant in [("torch_eager", "NHWC, fused"), ("torch_ensemble", "")]:
        found = timed_run(PEERS[peer].variants[variant](work), 3)[1]
        loss_gaps({"normlab": losses, peer: found}, CLOSE, twin)
    work = task(dataset, norm, batch_size=20, **settings, precision="bfloat16")
    contender = normlab_contender(work)
    mine = timed_run(contender, 3)[1]
    found = timed_run(PEERS["torch_eager"].variants["NHWC"](work), 3)[1]
    assert contender.twin is not None
    loss_gaps({"normlab": mine, "autocast": found}, 1e-2, contender.twin(3))
    assert abs(found / losses - 1).max() > CLOSE  # it did round


def test_of_many_members_some_are_trained(dataset):
    if reason := PEERS["torch_eager"].why_not():
        pytest.skip(reason)
    rates = np.logspace(-4, -2, 20).tolist()
    contender = PEERS["torch_eager"].variants["NHWC"](task(dataset, rates=rates))
    assert contender.parts == 8 and contender.trained is not None
    assert contender.trained[0] == 0 and contender.trained[-1] == 19
    losses = timed_run(contender, 3)[1]
    assert losses.shape == (8, 3)
    one = task(dataset, rates=rates[-1:])
    alone = timed_run(PEERS["torch_eager"].variants["NHWC"](one), 3)[1]
    np.testing.assert_allclose(losses[-1:], alone, rtol=CLOSE)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("execution", "devices"), [("map", "2"), ("vmap", "1"), ("loop", "1")]
)
def test_normlab_however_it_is_executed(execution, devices, dataset):
    options = RunOptions(execution=execution, devices=devices)
    work = task(dataset, "none", options=options)
    contender = normlab_contender(work)
    found = warm_up(contender, work.steps)
    by_map = warm_up(normlab_contender(task(dataset, "none")), work.steps)
    loss_gaps({"map": by_map.losses, execution: found.losses}, CLOSE)
    assert found.compile_seconds > 0
    assert 0 < (contender.memory() or 0) < 2**30


def test_normlab_takes_fewer_steps_than_it_has_room_for(dataset):
    work = task(dataset)
    contender = normlab_contender(work)
    _, losses = timed_run(contender, 3)
    assert losses.shape == (2, 3) and np.isfinite(losses).all()


def test_memory_of_an_unknown_program_is_unknown():
    assert held_bytes(None, 10) is None


def test_all_none_and_names():
    assert find_peers(("all",)) == PEERS
    assert find_peers(("none",)) == {}
    assert list(find_peers(("flax_vmap", "torch_eager"))) == [
        "flax_vmap",
        "torch_eager",
    ]


@pytest.mark.parametrize("names", [("lua",), ("flax_conv", "all"), ("none", "all")])
def test_an_unknown_peer_is_one_line(names):
    with pytest.raises(UserError) as raised:
        find_peers(names)
    assert "known: all, none, torch_eager" in str(raised.value)


def test_without_pytorch_its_peers_say_so(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    reasons = {name: peer.why_not() for name, peer in PEERS.items()}
    for name, reason in reasons.items():
        if name.startswith("torch"):
            assert reason and "PyTorch is not installed" in reason
        else:
            assert reason is None


def test_without_cuda_the_graph_peer_says_so():
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("there is CUDA here")
    assert "CUDA" in (PEERS["torch_graph"].why_not() or "")
    assert PEERS["torch_eager"].why_not() is None


def test_a_reason_is_one_short_line():
    assert _reason(RuntimeError("no\n  compiler")) == "RuntimeError: no compiler"
    assert _reason(MemoryError()) == "MemoryError"
    assert len(_reason(ValueError("x" * 1000))) < 200
