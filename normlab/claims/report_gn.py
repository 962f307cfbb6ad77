"""What the report says of group normalization (p. 11-18)."""

from typing import Any

from normlab.claims import along_path as path
from normlab.claims import measures as m
from normlab.claims.claim import (
    Claim,
    Measure,
    Part,
    Side,
    difference,
    interaction,
    level,
)
from normlab.claims.rules import Rule, above, below, within
from normlab.claims.santurkar import vgg
from normlab.claims.settings import (
    AS_IT_SHOULD,
    AS_RUN,
    BATCH,
    BATCH_SIZES,
    NONE,
    PROPER,
    group,
    proper_bn,
    proper_gn,
    report_bn,
    report_gn,
    side,
)

# "Hardly any" and "almost the same": less than a point.
_POINT = 1.0
_GROUPS = (1, 4, 16)
_GROUPED = {
    "grouped again every epoch": ("grouping_small_cnn", {"regroup_every": 1000}),
    "grouped once, after an epoch": ("grouping_once", {"regroup_every": 0}),
}
_PROTOCOLS = ((AS_RUN, report_gn, report_bn), (AS_IT_SHOULD, proper_gn, proper_bn))


def at_width(norm: str, width: float) -> Side:
    """Group norm (G=4) or none in a network of some width."""
    own = group(4) if norm == "group" else NONE
    place = {"batch_size": 50, "lr": 1e-3, "width": width}
    return side(f"{norm} at width {width:g}", "postmortem_width", PROPER, own, place)


def wider(measure: Measure, width: float) -> Part:
    """How much less group norm costs in a wider network."""
    first = at_width("group", width), at_width("none", width)
    second = at_width("group", 1.0), at_width("none", 1.0)
    return interaction(measure, first, second, above(0), AS_IT_SHOULD)


def grouped(how: str, flags: str, when: dict[str, Any]) -> Side:
    """Group norm whose groups were chosen in some way."""
    own: dict[str, Any] = {"norm": "group_correlated", "grouping": how}
    name = f"{how.replace('_', '-')} groups"
    return side(name, flags, {"dataset": "cifar10"}, own, when)


def _better(how: str, others: tuple[str, ...]) -> tuple[Part, ...]:
    """By the losses of batches: accuracies are measured just after groups changed."""
    return tuple(
        difference(measure, grouped(how, *of), grouped(other, *of), rule, words)
        for words, of in _GROUPED.items()
        for measure, rule in ((m.BATCH_LOSS, below(0)), (m.FINAL_TEST, above(0)))
        for other in others
    )


def seen(norm: str) -> Side:
    """A network of the report whose activations and gradients were looked at."""
    own: dict[str, Any] = {"norm": norm}
    small = {"dataset": "cifar10", "train_size": 50000, "model": "small_cnn"}
    return side(norm, "report_histograms", small, own)


def _against_none(measure: Measure, rule: Rule) -> tuple[Part, ...]:
    return tuple(
        difference(measure, of(groups), of(None), rule, words)
        for words, of, _ in _PROTOCOLS
        for groups in _GROUPS
    )


def _against_batch() -> tuple[Part, ...]:
    return tuple(
        difference(m.FINAL_TRAIN, of(groups), batch("batch"), below(0), words)
        for words, of, batch in _PROTOCOLS
        for groups in _GROUPS
    )


def _by_groups() -> tuple[Part, ...]:
    return tuple(
        difference(m.FINAL_TRAIN, of(groups), of(1), within(_POINT), words)
        for words, of, _ in _PROTOCOLS
        for groups in (4, 16)
    )


def _same_problem() -> tuple[Part, ...]:
    def small_batch(size: int) -> Side:
        flags, place = "postmortem_batch_size", {"batch_size": size, "lr": 1e-3}
        return side(f"batch at batch size {size}", flags, BATCH_SIZES, BATCH, place)

    problem = difference(m.FINAL_TEST, small_batch(2), small_batch(32), below(0))
    same = difference(
        m.FINAL_TEST, proper_gn(16), proper_gn(1), below(0), "the smallest groups"
    )
    return problem, same


CLAIMS = (
    Claim(
        "C4",
        "The training accuracy is less with group norm than with no normalization or "
        "with batch norm.",
        "report p. 11, observation 1",
        _against_none(m.FINAL_TRAIN, below(0)) + _against_batch(),
    ),
    Claim(
        "C5",
        "There is hardly any change in training accuracy when the number of groups is "
        "varied from 1 to 16.",
        "report p. 11, observation 2",
        _by_groups(),
        remark="Hardly any is less than a point.",
    ),
    Claim(
        "C6",
        "The test accuracy is almost the same whether group norm is used or not.",
        "report p. 11, observation 3",
        _against_none(m.FINAL_TEST, within(_POINT)),
        remark="Almost the same is within a point.",
    ),
    Claim(
        "C7",
        "The poor performance of group norm may be due to the small group sizes.",
        "report p. 11, observation 4",
        (
            difference(
                m.FINAL_TRAIN, proper_gn(1), proper_gn(16), above(0), AS_IT_SHOULD
            ),
            wider(m.FINAL_TRAIN, 2.0),
        ),
        remark="If so, group norm does better with larger groups: with fewer of them, "
        "and in wider networks.",
    ),
    Claim(
        "C8",
        "Normalization makes the histogram of a channel regular, and its variance "
        "close to 1.",
        "report p. 15",
        (
            level(path.LOPSIDED, seen("group"), below(0)),
            level(path.VARIANCE_ERROR, seen("group"), within(0.1)),
        ),
        remark="Regular is taken to be less skewed; close to 1 is within 0.1, behind "
        "the norm's own scale and bias, where the report looked.",
    ),
    Claim(
        "C9",
        "The channels of a group have different distributions, so group norm over "
        "these groups is not very helpful.",
        "report p. 15",
        (
            level(path.MEANS_APART, seen("group"), above(0.5)),
            *_better("moments", ("sequential",)),
        ),
        remark="Different is half a standard deviation; groups of channels with "
        "similar moments should then be better than sequential ones.",
    ),
    Claim(
        "C10",
        "The gradient norms are more constrained without normalization than with "
        "group norm.",
        "report p. 16",
        (
            difference(path.GRADIENT_RANGE, seen("group"), seen("none"), above(1)),
            difference(path.GRADIENT_SIZE, seen("group"), seen("none"), above(1)),
        ),
    ),
    Claim(
        "C11",
        "With group norm the circumstances for training were worse.",
        "report p. 16",
        (
            difference(
                m.BATCH_LOSS, proper_gn(4), proper_gn(None), above(0), AS_IT_SHOULD
            ),
            difference(path.SMOOTHNESS, vgg("group"), vgg("none"), above(1), "VGG"),
            difference(path.LOSS_RANGE, vgg("group"), vgg("none"), above(1), "VGG"),
        ),
        remark="Worse circumstances are taken to be a higher loss on the way, and a "
        "loss that is less smooth along the gradient (in a VGG).",
    ),
    Claim(
        "C12",
        "Group norm lowers accuracy at this scale: it faces the same problem that "
        "batch norm faces at low batch sizes.",
        "report p. 18, conclusion",
        (
            *(
                difference(
                    m.FINAL_TEST, proper_gn(g), proper_gn(None), below(0), AS_IT_SHOULD
                )
                for g in _GROUPS
            ),
            *_same_problem(),
        ),
    ),
    Claim(
        "F2",
        "Larger models and group sizes are needed to see what group norm does.",
        "report p. 18, future work",
        (wider(m.FINAL_TEST, 2.0),),
        remark="If so, group norm compares better with no norm in wider networks.",
    ),
    Claim(
        "F3",
        "Groups chosen by the correlation between channels normalize better than "
        "sequential ones.",
        "report p. 18, future work",
        _better("correlated", ("sequential", "random")),
        remark="Random groups are the control: they are not sequential either.",
    ),
)
