"""The questions that the page answers, and which claims and figures answer them.

The clauses say what a claim means if it is true and if it is false. Which of them is
shown, how sure it is and at what scale, is computed (`normlab.page.answer`).
"""

from normlab.page.finding import Finding, Point
from normlab.page.findings_sources import REPORT, THEORY

_HIGHER_RATE = (
    "fewer steps to 70% training accuracy than batch norm at 1e-3, fewer than no norm "
    "at 1e-3, and a test accuracy at most 1 point below that of no norm"
)
_CORRELATED = "other groups (sequential, random or anti-correlated)"
_OTHERS = "other groups that change as often (random or anti-correlated)"

FINDINGS = (
    Finding(
        "rates",
        "Learning rates",
        "Does batch norm allow larger learning rates?",
        (
            Point(
                "H4",
                "at high learning rates (0.01 and 0.03), the report's small network "
                "tests better with batch norm than without",
                "at a high learning rate (0.01, 0.03 or both), the report's small "
                "network does not test better with batch norm than without",
                "the report's small network tests better with batch norm than without "
                "at high learning rates (0.01 and 0.03)",
                "at high learning rates (0.01 and 0.03), the report's small network "
                "tests equally well with batch norm and without",
            ),
            Point(
                "C2c",
                f"batch norm at rate 3e-3 meets three conditions: {_HIGHER_RATE}",
                "batch norm at rate 3e-3 fails at least one of three conditions: "
                f"{_HIGHER_RATE}",
                f"batch norm at rate 3e-3 meets three conditions: {_HIGHER_RATE}",
            ),
        ),
        tuple(
            (run, "lr_sensitivity")
            for run in ("confirm_lr", "postmortem_lr", "cifar10_first")
        ),
        ("C2b", "C2a", "C2ap", "H5"),
    ),
    Finding(
        "speed",
        "Speed of training",
        "Does a norm make the report's small network train faster?",
        (
            Point(
                "C1p",
                "the report's small network trains faster with batch norm in all three "
                "settings of batch size and rate",
                "in at least one of three settings of batch size and rate, the "
                "report's small network does not train faster with batch norm",
                "the report's small network trains faster with batch norm in all three "
                "settings of batch size and rate",
                "the report's small network trains as fast with batch norm as without "
                "in all three settings",
            ),
            Point(
                "C11p",
                "group norm slows down the training of the report's small network with "
                "1, 4 and 16 groups",
                "for at least one number of groups (1, 4 or 16), group norm does not "
                "slow down the report's small network",
                "group norm slows down the training of the report's small network with "
                "1, 4 and 16 groups",
                "the report's small network trains as fast with group norm as without, "
                "with 1, 4 and 16 groups",
            ),
        ),
        (("proper_bn", "curves"), ("proper_gn", "curves"), ("report_gn", "curves")),
        ("C1", "C11", "C4p", "C4", "C3p", "B10a", "B10c", "C7"),
        "batch_loss",
    ),
    Finding(
        "generalization",
        "Test accuracy",
        "Does a norm improve accuracy on images that were not trained on?",
        (
            Point(
                "C1tp",
                "at rate 1e-3 and batch sizes of 10, 50 and 100, the report's small "
                "network tests better with batch norm than without",
                "at rate 1e-3 and for at least one batch size (10, 50 or 100), the "
                "report's small network does not test better with batch norm than "
                "without",
                "the report's small network tests better with batch norm than without "
                "at rate 1e-3 and batch sizes of 10, 50 and 100",
                "at rate 1e-3 and batch sizes of 10, 50 and 100, the report's small "
                "network tests equally well with batch norm and without",
            ),
            Point(
                "C6p",
                "group norm with 1, 4 and 16 groups changes the test accuracy of the "
                "report's small network by less than 1 point",
                "for at least one number of groups (1, 4 or 16), group norm changes "
                "the test accuracy of the report's small network by over 1 point",
                "group norm with 1, 4 and 16 groups changes the test accuracy of the "
                "report's small network by less than 1 point",
            ),
            Point(
                "H6",
                "batch norm narrows the gap between training and test accuracy of the "
                "report's small network, at the end and at equal training accuracies",
                "batch norm does not narrow the gap between training and test accuracy "
                "of the report's small network at the end, at equal training "
                "accuracies, or both",
                "batch norm narrows the gap between training and test accuracy of the "
                "report's small network, at the end and at equal training accuracies",
                "the gap between training and test accuracy of the report's small "
                "network is the same with and without batch norm",
            ),
        ),
        (("proper_bn", "batch_size"), ("report_bn", "batch_size")),
        ("C1t", "C6", "H6d", "C5", "C5p"),
    ),
    Finding(
        "smoothness",
        "Smoothness of the loss",
        "Do norms make the loss smoother, as Santurkar et al. say?",
        (
            Point(
                "SF4",
                "by all six measures, the loss of a VGG is smoother along the gradient "
                "with batch norm than without",
                "by at least one of six measures, the loss of a VGG is not smoother "
                "along the gradient with batch norm",
                "the loss of a VGG is smoother along the gradient with batch norm by "
                "all six measures",
                "by all six measures, the loss of a VGG is as smooth with batch norm "
                "as without",
            ),
            Point(
                "SF4g",
                "by all six measures, the loss of a VGG is smoother along the gradient "
                "with group norm than without",
                "by at least one of six measures, the loss of a VGG is not smoother "
                "along the gradient with group norm",
                "the loss of a VGG is smoother along the gradient with group norm by "
                "all six measures",
                "by all six measures, the loss of a VGG is as smooth with group norm "
                "as without",
            ),
        ),
        (("santurkar_vgg_cpu", "santurkar_4"), ("smoothness_digits", "santurkar_4")),
        ("H1", "H2", "H3", "SF1", "SF10", "C10", "C10p"),
    ),
    Finding(
        "batches",
        "Small batches",
        "Is group norm better than batch norm if batches are small?",
        (
            Point(
                "W5",
                "at batch sizes of 2 and 4, a ResNet tests better with group norm than "
                "with batch norm",
                "at a batch size of 2, 4 or both, a ResNet does not test better with "
                "group norm than with batch norm",
                "a ResNet tests better with group norm than with batch norm at batch "
                "sizes of 2 and 4",
                "at batch sizes of 2 and 4, a ResNet tests equally well with group "
                "norm and batch norm",
            ),
            Point(
                "W4",
                "as batches shrink from 32 to 2, a ResNet loses accuracy with batch "
                "norm, and more than with group norm",
                "with batch norm, a ResNet loses no accuracy as batches shrink from 32 "
                "to 2, or not more than with group norm",
                "a ResNet with batch norm loses accuracy as batches shrink to 2, and "
                "more than with group norm",
                "a ResNet with batch norm is as accurate with batches of 2 as of 32, "
                "alone and beside group norm",
            ),
        ),
        (("resnet_batch_size", "batch_size"), ("postmortem_batch_size", "batch_size")),
        ("W1", "W2", "W3", "W6", "W7", "C3s", "B3", "B3p"),
    ),
    Finding(
        "shift",
        "Covariate shift",
        "Does batch norm reduce internal covariate shift?",
        (
            Point(
                "SF3",
                "batch norm does not reduce the internal covariate shift of a VGG "
                "enough to matter (0.05 in cosine)",
                "batch norm reduces the internal covariate shift of a VGG",
                "batch norm reduces the internal covariate shift of a VGG enough to "
                "matter (0.05 in cosine)",
            ),
            Point(
                "SF3d",
                "batch norm does not reduce the internal covariate shift of a deep "
                "linear network enough to matter (0.05 in cosine)",
                "batch norm reduces the internal covariate shift of a deep linear "
                "network",
                "batch norm reduces the internal covariate shift of a deep linear "
                "network enough to matter (0.05 in cosine)",
            ),
        ),
        (("santurkar_noisy_cpu", "santurkar_3"),),
        ("SF2",),
    ),
    Finding(
        "groups",
        "Choice of groups",
        "Does it matter which channels share a group?",
        (
            Point(
                "F3",
                f"groups of correlated channels train better than {_CORRELATED} in all "
                "six comparisons",
                "in at least one of six comparisons, groups of correlated channels "
                f"do not train better than {_CORRELATED}",
                f"groups of correlated channels train better than {_CORRELATED} in all "
                "six comparisons",
                "in all six comparisons, groups of correlated channels train as well "
                f"as {_CORRELATED}",
            ),
            Point(
                "C9h",
                "groups of channels with like moments train better than "
                f"{_OTHERS} in all four comparisons",
                "in at least one of four comparisons, groups of channels with like "
                f"moments do not train better than {_OTHERS}",
                "groups of channels with like moments train better than "
                f"{_OTHERS} in all four comparisons",
                "in all four comparisons, groups of channels with like moments train "
                f"as well as {_OTHERS}",
            ),
        ),
        (("grouping_small_cnn", "curves"), ("postmortem_groups", "groups")),
        ("F2", "C7", "C9", "C9p"),
    ),
    REPORT,
    THEORY,
)
