"""What is seen in a figure follows from its table."""

import math
import re

import pandas as pd
import pytest

from normlab.figures import batch_size, groups
from normlab.figures.failed import failed
from normlab.page.seen import all_seen, seen, why_failed
from normlab.settings import phrases
from normlab.settings.declare import settings_of
from normlab.settings.members import MemberSettings
from normlab.settings.norms import NormSettings
from normlab.settings.training import NetworkSettings, TrainingSettings
from normlab.store.load import load
from tests.store.handmade import make_cell, write_run


def rows(metric: str, values: dict, spread: float = 0.01, **more) -> pd.DataFrame:
    """Settings with medians at two epochs; the first ones are not the end."""
    table = [
        {
            "setting": setting, "point": point, "epoch": epoch, "metric": metric,
            "median": value * epoch, "low": value * epoch - spread,
            "high": value * epoch + spread, "source": "run", **{"n": 5, **more},
        }
        for (setting, point), value in values.items()
        for epoch in (0.5, 1.0)
    ]  # fmt: skip
    return pd.DataFrame(table)


FAR = {
    ("none", "lr 0.1"): 0.1, ("batch", "lr 0.1"): 0.8, ("group (G=4)", "lr 0.1"): 0.5,
    ("none", "lr 0.01"): 0.7, ("batch", "lr 0.01"): 0.705,
}  # fmt: skip


def test_it_tells_where_settings_are_farthest_apart():
    assert seen(rows("test_accuracy", FAR)) == (
        "At a learning rate of 0.1, the final test accuracy ranges from 0.800 [0.790, "
        "0.810] with batch to 0.100 [0.090, 0.110] without a norm. In 1 of 2 such "
        "comparisons, the intervals of the extremes do not overlap."
    )
    turned = {(s, p): 0.9 - v for (s, p), v in FAR.items()}
    assert "0.800 [0.790, 0.810] without a norm" in seen(rows("test_accuracy", turned))


def test_it_says_if_intervals_overlap():
    text = seen(rows("test_accuracy", FAR, spread=0.5))
    assert text.endswith("; the intervals overlap everywhere.")
    close = {k: v for k, v in FAR.items() if k[1] == "lr 0.01"}
    assert seen(rows("test_accuracy", close)).endswith("; the intervals overlap.")


def test_a_published_curve_is_not_compared():
    paper = rows("test_accuracy", {("batch", "lr 0.1"): 9.9}).assign(source="a paper")
    both = pd.concat([rows("test_accuracy", FAR), paper])
    assert seen(both) == seen(rows("test_accuracy", FAR))


def test_the_most_important_metric_is_told():
    both = pd.concat([rows("batch_loss", FAR), rows("test_accuracy", FAR)])
    assert "final test accuracy" in seen(both)
    told = all_seen(both)
    assert told[""] == told["test_accuracy"] == seen(both)
    assert "median over training of the batch loss" in told["batch_loss"]


def test_a_quantity_is_compared_over_training():
    text = seen(rows("beta", FAR))
    assert text.startswith(
        "At a learning rate of 0.1, the median over training of the eff"
    )
    # Of 0.4 and 0.8. The intervals of steps are none of a median over steps.
    assert text.endswith("ranges from 0.6 with batch to 0.075 without a norm.")


def test_only_accuracies_have_at_most_three_decimals():
    close = {("none", "lr 0.1"): 0.0102, ("batch", "lr 0.1"): 0.0106}
    text = seen(rows("test_loss", close, spread=0.0001))
    assert "is 0.01060 [0.01050, 0.01070] with batch and 0.01020 [" in text
    text = seen(rows("test_accuracy", close, spread=0.0001))
    assert "is 0.011 [0.011, 0.011] with batch and 0.010 [0.010, 0.010]" in text


def test_settings_without_a_finite_value_are_named():
    table = rows("test_accuracy", FAR)
    no_norm, high = table["setting"] == "none", table["point"] == "lr 0.1"
    for lost in (float("nan"), float("inf")):
        one = table.assign(median=table["median"].where(~(no_norm & high), lost))
        text = seen(one[one["epoch"] == 1.0].drop(columns="epoch"))
        assert "0.800 [0.790, 0.810] with batch" in text
        assert text.endswith(" No finite value: without a norm.")
    assert "No finite value" not in seen(table)


def test_a_curve_that_ends_early_is_not_compared():
    table = rows("test_accuracy", FAR)
    cut = (table["setting"] == "none") & (table["epoch"] == 1.0)
    for metric in ("test_accuracy", "beta"):  # half of its curves are missing
        text = seen(rows(metric, FAR)[~cut.to_numpy()])
        assert "with batch and 0." in text and "with group (G=4)." in text
        assert text.endswith(
            " Not compared: without a norm (ends at epoch 0.5, in 2 places)."
        )


def test_one_seed_has_no_interval():
    text = seen(rows("test_accuracy", FAR, spread=0.0, n=1))
    assert "apart" not in text and "overlap" not in text
    assert "ranges from 0.8 with batch to 0.1 without a norm." in text


def test_norms_are_compared_where_all_else_is_equal():
    values = {
        (f"{norm}, batch_size {size}", "lr 0.1"): value
        for norm, size, value in [
            ("none", 10, 0.1), ("batch", 10, 0.2),
            ("none", 50, 0.8), ("batch", 50, 0.85),
        ]
    }  # fmt: skip
    text = seen(rows("test_accuracy", values))
    assert text.startswith("At batch size 10, the final test accuracy is 0.200")
    assert "without a norm" in text and "with batch" in text


@pytest.mark.parametrize(
    "table",
    [
        pd.DataFrame({"x": [1.0], "source": ["run"]}),
        rows("test_accuracy", {("batch", "lr 0.1"): 0.8}),
        rows("test_accuracy", FAR).iloc[:0],
    ],
)
def test_nothing_is_said_of_nothing(table):
    assert seen(table) == ""


def test_settings_that_are_not_compared_are_named_if_nothing_else_is_said():
    lost = rows("test_accuracy", FAR).assign(median=math.nan)
    assert seen(lost) == (
        "No finite value: without a norm (2 times), with batch (2 times), with group "
        "(G=4)."
    )
    all_failed = dict.fromkeys(FAR, "diverged")
    text = seen(rows("test_accuracy", FAR), failed=all_failed)
    assert text.startswith("Not compared: without a norm (diverged, in 2 places), with")
    two_rates = {k: v for k, v in FAR.items() if k[0] != "group (G=4)"}
    no_norm = {k: "diverged" for k in FAR if k[0] == "none"}
    text = seen(rows("test_accuracy", two_rates), failed=no_norm)
    assert text == "Not compared: without a norm (diverged, in 2 places)."


def test_histograms_are_told_by_their_widths():
    cells = [
        {"setting": s, "step": t, "left": x, "right": x + 1.0, "density": 0.5}
        for s, edge in (("none", 2.0), ("batch", 0.0))
        for t in (0, 8)
        for x in (-1.0 - edge * (t > 0), edge * (t > 0))
    ]
    assert seen(pd.DataFrame(cells)) == (
        "At step 8, the standard deviation is 2.5 without a norm, 0.5 with batch."
    )


CHANCE = {("none", "lr 0.1"): "at chance"}


def test_a_setting_that_does_not_train_is_never_the_best():
    """Without its networks' failure, no norm has the smallest gradients and loss."""
    table = rows("gradient_norm", FAR)
    assert "0.075 without a norm" in seen(table)
    text = seen(table, failed=CHANCE)
    assert "is 0.6 with batch and 0.375 with group (G=4)." in text
    assert text.endswith(" (at chance at a learning rate of 0.1).")
    # An accuracy at chance is a result.
    text = seen(rows("test_accuracy", FAR), failed=CHANCE)
    assert "to 0.100 [0.090, 0.110] without a norm (at chance)." in text
    most = {("batch", "lr 0.1"): "diverged"}  # and the seeds that are left do best
    text = seen(rows("test_accuracy", FAR), failed=most)
    assert "is 0.500 [0.490, 0.510] with group (G=4) and 0.100" in text
    assert text.endswith(" with batch (diverged at a learning rate of 0.1).")
    two = {k: v for k, v in FAR.items() if k[1] == "lr 0.1" and k[0] != "batch"}
    text = seen(rows("batch_loss", two), failed=CHANCE)
    assert text.startswith("The median over training of the batch loss is 0.375 with g")


def test_a_diverged_curve_that_was_better_is_not_compared():
    """Its last finite loss is the lowest of all."""
    values = {("none", "lr 0.1"): 0.1, ("batch", "lr 0.1"): 0.3, ("group", "lr 0.1"): 1}
    table = rows("test_loss", values)
    gone = (table["setting"] == "none") & (table["epoch"] == 1.0)
    text = seen(table.assign(median=table["median"].mask(gone)))
    assert text.startswith("The final test loss is 1.000 [0.990, 1.010] with group and")
    assert text.endswith(" Not compared: without a norm (ends at epoch 0.5).")


def test_sentences_name_no_flags():
    values = {
        (f"{norm}, norm_dense {dense}, init report", "lr 0.1, weight_decay 0.0"): value
        for norm, dense, value in [
            ("none", False, 0.1), ("batch", False, 0.2),
            ("none", True, 0.8), ("batch", True, 0.85),
        ]
    }  # fmt: skip
    text = seen(rows("test_accuracy", values))
    assert text.startswith("With norms only after convolutions, the final test")
    one_norm = {
        ("group_correlated (G=4), random", "lr 0.1"): 0.1,
        ("group_correlated (G=4), anti_correlated", "lr 0.1"): 0.3,
    }
    assert "with anti-correlated groups and 0.075 with" in seen(rows("beta", one_norm))


def test_a_phrase_of_every_setting():
    """None has the underscores of a flag, and a switch reads differently on and off."""
    for name, setting in phrases._DECLARED.items():
        for value in ("0.5", "False", "two_words"):
            assert "_" not in phrases.phrase(name, value), name
        if isinstance(setting.phrase, tuple):
            on, off = (phrases.phrase(name, value) for value in ("True", "False"))
            assert (on, off) == setting.phrase and on != off
    assert phrases.phrase("lr", "0.0001") == "at a learning rate of 0.0001"
    assert phrases.phrase("length", "9.999999999999999e-06") == "at length 1e-05"
    both = ["at width 2", "with x", "at width 2", "at size 1"]
    assert phrases.joined(both) == "at width 2 and size 1, with x"


# Setting -> its value that switches something off, or the like, and what it means.
OFF = {
    "train_size": "with all images",
    "validation": "without images held out",
    "augment": "without augmentation",
    "norm": "without a norm",
    "label_smoothing": "without label smoothing",
    "decay_mask": "with weight decay on all parameters",
    "accumulate": "with gradients of whole batches",
    "regroup_every": "without regrouping",
    "weight_decay": "without weight decay",
    "warmup": "without warm-up",
    "decay_to": "with a last learning rate of zero",
    "clip_norm": "without clipping of gradients to a norm",
    "clip_adaptive": "without adaptive clipping of gradients",
}


def test_a_default_is_said_as_what_it_means():
    """A zero that means all or off, and a none, are no numbers and no names."""
    said = {
        spec.name: phrases.phrase(spec.name, str(spec.default))
        for kind in (NetworkSettings, TrainingSettings, NormSettings, MemberSettings)
        for spec, _ in settings_of(kind)
    }
    assert said["lr"] == "at a learning rate of 0.001" and said["width"] == "at width 1"
    assert {name: said[name] for name in OFF} == OFF
    wrong = re.compile(r"\b(none|all$|0(\.0)?(?![.\d]))|\b1 \w+s\b")
    zeros = {name for name, text in said.items() if wrong.search(text)}
    assert zeros == {"seed", "regroup_at"}  # which count from zero
    more = [("train_size", "1"), ("warmup", "1"), ("accumulate", "2"), ("warmup", "5")]
    more += [("standardize", "none"), ("standardize", "feature"), ("clip_norm", "0.5")]
    assert [phrases.phrase(*each) for each in more] == [
        "with 1 image",
        "with 1 step of warm-up",
        "with gradients of 2 parts",
        "with 5 steps of warm-up",
        "with inputs that are not standardized",
        "with inputs standardized per feature",
        "with gradients clipped to a norm of 0.5",
    ]


def test_what_is_lacking_is_joined_by_or():
    lacks = ["without a norm", "without a learned scale", "with x", "with y"]
    assert phrases.joined(lacks) == "without a norm or a learned scale, with x and y"


@pytest.mark.parametrize(
    ("start", "words"),
    [(True, "with blocks that start at zero"), (False, "with blocks that start as us")],
)
def test_a_switch_is_said_for_on_and_for_off(start, words):
    assert phrases.phrase("zero_last_scale", str(start)).startswith(words)


def test_which_settings_do_not_train(tmp_path):
    cells = [make_cell(norm=norm, dataset="cifar10") for norm in ("none", "batch")]

    def score(member, step: int) -> float:
        return 0.1 + 0.005 * (step > 0) + 0.5 * (member.lr < 0.005 or member.seed == 0)

    def loss(member, step: int) -> float:
        return math.nan if member.lr < 0.005 and member.seed > 0 and step > 5 else 1.0

    frame = load(write_run(tmp_path / "run", cells, score=score, loss=loss).root)
    # Two of three seeds diverge at the low rate, and guess at the high one.
    assert failed(frame) == {
        (norm, point): word
        for norm in ("none", "batch")
        for point, word in (("lr 0.001", "diverged"), ("lr 0.01", "at chance"))
    }
    unknown = frame.assign(dataset="npz:mine.npz")
    assert set(failed(unknown)) == {(n, "lr 0.001") for n in ("none", "batch")}
    two = frame[frame["seed"] < 2]  # half of the networks, as in headlines
    assert failed(two) == failed(frame)
    assert failed(frame[frame["seed"].isin([0]) | frame["norm"].eq("batch")]) == {
        key: word for key, word in failed(frame).items() if key[0] == "batch"
    }
    # A network that has not finished may yet learn.
    bad = frame.assign(test_accuracy=0.1, batch_accuracy=0.1, diverged=False)
    assert set(failed(bad).values()) == {"at chance"}
    assert failed(bad[bad["step"] < bad["steps"]]) == {}
    # Of five networks of which two diverged and three guess, most guess.
    seeds = range(5)
    more = pd.concat(
        [frame[frame["seed"] == 1].assign(seed=s, member=s) for s in seeds]
    )
    more = more[more["norm"].eq("none") & more["lr"].lt(0.005)].assign(
        diverged=lambda x: x["seed"] < 2, test_accuracy=0.1, batch_accuracy=0.1
    )
    assert failed(more) == {("none", "lr 0.001"): "at chance"}


def guessing(tmp_path, score: float, **changes):
    """The table of a run whose networks all have this accuracy."""
    cell = make_cell(**{"dataset": "cifar10", "batch_size": 50, **changes})
    run = write_run(tmp_path / "run", [cell], score=lambda member, step: score)
    return load(run.root)


def test_chance_is_the_share_of_the_largest_class(tmp_path):
    """1135 of MNIST's 10000 test images are ones."""
    frame = guessing(tmp_path, 0.1135, dataset="mnist")
    assert set(failed(frame).values()) == {"at chance"}
    assert failed(frame.assign(test_accuracy=0.125)) == {}


def test_a_network_that_fits_its_images_does_not_guess(tmp_path):
    frame = guessing(tmp_path, 0.1, train_size=40_000, steps=40_000, eval_every=40_000)
    assert set(failed(frame).values()) == {"at chance"}
    for accuracy in (0.99, 0.13):  # of 40,000 images
        assert failed(frame.assign(batch_accuracy=accuracy)) == {}
    # It is the end of training that counts.
    late = frame["step"] >= 0.9 * frame["steps"]
    fits = frame["batch_accuracy"].mask(late, 0.99)
    assert failed(frame.assign(batch_accuracy=fits)) == {}
    forgot = frame["batch_accuracy"].where(late, 0.99)
    assert failed(frame.assign(batch_accuracy=forgot)) == failed(frame)
    # Of 100 images, 13 may well be of one class.
    few = frame.assign(train_size=100, batch_accuracy=0.13)
    assert failed(few) == failed(frame)


@pytest.mark.parametrize("figure", [batch_size, groups])
def test_a_setting_is_known_though_the_figure_has_it_along_its_axis(tmp_path, figure):
    """The learning rate of 0.01 trains nothing, at any batch size or group count."""
    cells = [
        make_cell(norm="none", dataset="cifar10", batch_size=size, lrs=rates)
        for size, rates in ((10, (0.01,)), (50, (0.001,)))
    ]
    if figure is groups:
        cells = [
            make_cell(norm="group", groups=g, dataset="cifar10", batch_size=size)
            for g in (1, 4)
            for size in (10, 50)
        ]
    found = write_run(
        tmp_path / "run",
        cells,
        score=lambda member, step: 0.1 if member.lr > 0.005 else 0.8,
    )
    frame = load(found.root)
    table = figure.tabulate(frame)
    at = table["point"] + " " + table["setting"]
    told = [bool(word) for word in why_failed(table, failed(frame))]
    assert (
        told == at.str.contains("lr 0.01").tolist() and True in told and False in told
    )


def test_the_figure_of_batch_sizes_marks_chance(tmp_path):
    """Also where a norm was evaluated with several kinds of statistics."""
    cells = [
        make_cell(norm=norm, dataset="cifar10", batch_size=size, lrs=(0.01,))
        for norm in ("none", "batch")
        for size in (10, 50)
    ]
    frame = load(write_run(tmp_path / "run", cells, score=lambda m, step: 0.1).root)
    learns = frame["norm"].eq("batch") & frame["test_accuracy"].notna()
    frame["test_accuracy"] = frame["test_accuracy"].mask(learns, 0.8)
    table = batch_size.tabulate(frame)
    text = seen(table, "batch_size", failed=failed(frame))
    assert "0.1 without a norm (at chance)" in text and "with batch (at" not in text
    by = table.assign(setting=table["setting"] + ", by running statistics")
    assert why_failed(by, failed(frame)) == why_failed(table, failed(frame))
