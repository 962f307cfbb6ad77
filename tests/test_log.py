"""`normlab.Log`: tables and figures of what a probe found."""

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

import normlab
from normlab.errors import UserError
from normlab.figures.headings import headline_of
from tests.figures.seen import words

NAMES = ["effective_smoothness", "gradient_norm"]
LABELS = {"eta": (0.5, 1.0, 2.0, 4.0), "part": ("all", "w")}


def loss(params, batch):
    return jnp.sum(batch * params["w"] ** 4)


BATCH = jnp.asarray([1.0, 2.0])
measure = normlab.probe(loss, NAMES)


def params(i):
    return {"w": jnp.asarray([1.0, 0.5]) / (1 + i)}


def filled(steps=4, **settings) -> normlab.Log:
    log = normlab.Log(lr=0.1, **settings)
    for i in range(steps):
        log.add(i, measure(params(i), BATCH, lr=0.1))
    return log


def test_a_row_for_each_step_and_entry():
    frame = filled(label="mine").frame("effective_smoothness")
    assert len(frame) == 4 * 4 and set(frame["label"]) == {"mine"}
    assert list(frame["eta"][:4]) == [0.5, 1.0, 2.0, 4.0]
    found = measure(params(2), BATCH, lr=0.1)["effective_smoothness"]["beta"]
    own = frame[frame["step"] == 2]["beta"]
    np.testing.assert_array_equal(own, np.asarray(found, np.float32))
    parts = filled().frame("gradient_norm")
    assert list(parts["part"][:2]) == ["all", "w"]


def test_what_scan_and_vmap_return():
    """The same rows as one after another: first steps, then members."""
    log = normlab.Log(lr=[0.1, 0.2], seed=[5, 6])

    def step(i, _):
        found = jax.vmap(lambda lr: measure(params(i), BATCH, lr=lr))
        return i + 1, found(jnp.asarray([0.1, 0.2]))

    _, found = jax.lax.scan(step, 0, length=4)
    log.add(np.arange(4), found)
    frame = log.frame("effective_smoothness")
    assert list(frame[frame["member"] == 1]["seed"].unique()) == [6]
    fields = ["step", "eta", "beta", "loss"]
    one = frame[frame["member"] == 0].reset_index(drop=True)[fields]
    other = filled().frame("effective_smoothness")[fields]
    pd.testing.assert_frame_equal(one, other, rtol=1e-5)


def test_figures_draw_it():
    log = filled(label="mine", unit="nats").beside(filled(label="other", norm="batch"))
    figure = log.figure("santurkar_4")
    legend = figure.legends[0]
    texts = " ".join(text.get_text() for text in legend.get_texts())
    assert "mine" in texts and "other" in texts
    assert "(nats" in figure.axes[0].get_ylabel()
    assert "nan" not in " ".join(text.get_text() for text in figure.texts)
    frame = log.frame("gradient_norm")
    assert set(frame["label"]) == {"mine", "other"} and len(frame) == 2 * 4 * 2


def test_what_was_saved_is_loaded(tmp_path):
    log = filled(label="mine", seed=np.int64(3))
    log.save(tmp_path / "log")
    loaded = normlab.Log.load(tmp_path / "log")
    assert set(loaded.names) == set(NAMES)
    for name in NAMES:
        pd.testing.assert_frame_equal(loaded.frame(name), log.frame(name))
    loaded.add(4, measure(params(4), BATCH, lr=0.1))
    assert loaded.frame("gradient_norm")["step"].max() == 4


def test_mistakes_are_said(tmp_path):
    log = filled(1)
    with pytest.raises(UserError, match="hessian_top was not added .*gradient_norm"):
        log.frame("hessian_top")
    with pytest.raises(UserError, match="unknown figure 'x'"):
        log.figure("x")
    with pytest.raises(UserError, match="needs the metrics of a run"):
        log.figure("curves")
    with pytest.raises(UserError, match="sharpness needs|hessian_top was not added"):
        log.figure("sharpness")
    with pytest.raises(UserError, match="not a dict"):
        log.add(1, {"gradient_norm": {"l2": np.ones(2)}})  # type: ignore[arg-type]
    with pytest.raises(UserError, match=r"Log\(rate=...\): unknown"):
        normlab.Log(rate=0.1)
    with pytest.raises(UserError, match="lists of"):
        normlab.Log(seed=[0, 1], lr=[1, 2, 3])
    with pytest.raises(UserError, match=r"shape \(4,\), but .* \(2, 4\)"):
        normlab.Log(seed=[0, 1]).add(0, measure(params(0), BATCH, lr=0.1))
    with pytest.raises(UserError, match="give each a label"):
        filled(1).beside(filled(1))
    with pytest.raises(UserError, match="not a saved log"):
        normlab.Log.load(tmp_path)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        *((name, {}) for name in ("santurkar_4", "gradient_norm_layers")),
        # The length of a trial step is known only with the learning rate.
        *((name, {"lr": 0.1}) for name in ("santurkar_11", "smoothness_by_eta")),
    ],
)
def test_figures_of_one_training_say_so(name, settings):
    log = normlab.Log(**settings)
    for i in range(4):
        log.add(i, measure(params(i), BATCH, lr=0.1))
    figure = log.figure(name)
    text = words(figure)
    assert "one seed" in text and "median over" not in text and "nan" not in text
    if figure.axes[-1].get_xlabel() == "step":
        ticks = figure.axes[-1].get_xticks()
        assert len(ticks) > 2 and all(tick == round(tick) for tick in ticks)


def test_what_the_rate_is_needed_for():
    log = normlab.Log()
    log.add(0, measure(params(0), BATCH, lr=0.1))
    for name in ("santurkar_11", "smoothness_by_eta"):
        with pytest.raises(UserError, match="needs the learning rate"):
            log.figure(name)
    both = log.beside(filled(steps=1, label="other"))
    assert "lr unknown" in words(both.figure("santurkar_4"))
    # Without a unit, "loss" stands for it; a headline does not name it.
    says = headline_of(log.figure("santurkar_4"))
    assert says.startswith("Range of the loss along the gradient: ")
