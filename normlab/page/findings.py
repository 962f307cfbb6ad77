"""The questions that the page answers, and which claims and figures answer them.

The clauses say what a claim means if it is true and if it is false. Which of them is
shown, how sure it is and at what scale, is computed (`normlab.page.answer`).
"""

from normlab.page.finding import Finding, Point
from normlab.page.findings_sources import REPORT, THEORY

FINDINGS = (
    Finding(
        "rates",
        "Learning rates",
        "Does batch norm allow larger learning rates?",
        (
            Point(
                "H4",
                "at high learning rates (0.01 and 0.03), the report's small network "
                "ends with a higher test accuracy with batch norm than with no norm",
                "at a high learning rate (0.01, 0.03 or both), the report's small "
                "network does not end with a higher test accuracy with batch norm "
                "than with no norm",
                "the report's small network ends with a higher test accuracy with "
                "batch norm than with no norm at high learning rates (0.01 and 0.03)",
                "at high learning rates (0.01 and 0.03), the report's small network "
                "ends with the same test accuracy with batch norm as with no norm",
            ),
            Point(
                "C2c",
                "batch norm at a rate of 3e-3 meets all three conditions: fewer steps "
                "to 70% training accuracy than no norm at 1e-3, fewer than batch norm "
                "at 1e-3, and a test accuracy at most 1 point below that of no norm",
                "batch norm at a rate of 3e-3 fails at least one of three conditions: "
                "fewer steps to 70% training accuracy than no norm at 1e-3, fewer "
                "than batch norm at 1e-3, and a test accuracy at most 1 point below "
                "that of no norm",
                "batch norm at a rate of 3e-3 meets three conditions: fewer steps to "
                "70% training accuracy than no norm at 1e-3, fewer than batch norm at "
                "1e-3, and a test accuracy at most 1 point below that of no norm",
            ),
        ),
        (("postmortem_lr", "lr_sensitivity"), ("cifar10_first", "lr_sensitivity")),
        ("C2b", "C2a", "C2ap", "H5"),
    ),
    Finding(
        "speed",
        "Speed of training",
        "Does a norm make the report's small network train faster?",
        (
            Point(
                "C1p",
                "batch norm speeds up the training of the report's small network in "
                "all three settings (batch size 50 at rates of 1e-3 and 1e-4, batch "
                "size 100 at 1e-3)",
                "in at least one of three settings (batch size 50 at rates of 1e-3 "
                "and 1e-4, batch size 100 at 1e-3), batch norm does not speed up the "
                "training of the report's small network",
                "batch norm speeds up the training of the report's small network in "
                "all three settings (batch size 50 at rates of 1e-3 and 1e-4, batch "
                "size 100 at 1e-3)",
                "in all three settings (batch size 50 at rates of 1e-3 and 1e-4, "
                "batch size 100 at 1e-3), the report's small network trains as fast "
                "with batch norm as with no norm",
            ),
            Point(
                "C11p",
                "group norm slows down the training of the report's small network "
                "with 1, 4 and 16 groups",
                "for at least one number of groups (1, 4 or 16), group norm does not "
                "slow down the training of the report's small network",
                "group norm slows down the training of the report's small network "
                "with 1, 4 and 16 groups",
                "with 1, 4 and 16 groups, the report's small network trains as fast "
                "with group norm as with no norm",
            ),
        ),
        (("proper_gn", "curves"), ("proper_bn", "curves"), ("report_gn", "curves")),
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
                "at a rate of 1e-3 and batch sizes of 10, 50 and 100, the report's "
                "small network ends with a higher test accuracy with batch norm than "
                "with no norm",
                "at a rate of 1e-3 and at least one of three batch sizes (10, 50 or "
                "100), the report's small network does not end with a higher test "
                "accuracy with batch norm than with no norm",
                "the report's small network ends with a higher test accuracy with "
                "batch norm than with no norm at a rate of 1e-3 and batch sizes of "
                "10, 50 and 100",
                "at a rate of 1e-3 and batch sizes of 10, 50 and 100, the report's "
                "small network ends with the same test accuracy with batch norm as "
                "with no norm",
            ),
            Point(
                "C6p",
                "with 1, 4 and 16 groups, group norm changes the final test accuracy "
                "of the report's small network by less than 1 point",
                "for at least one number of groups (1, 4 or 16), group norm changes "
                "the final test accuracy of the report's small network by more than 1 "
                "point",
                "group norm changes the final test accuracy of the report's small "
                "network by less than 1 point with 1, 4 and 16 groups",
            ),
            Point(
                "H6",
                "batch norm narrows the gap between the training and test accuracy of "
                "the report's small network",
                "batch norm does not narrow the gap between the training and test "
                "accuracy of the report's small network",
                "batch norm narrows the gap between the training and test accuracy of "
                "the report's small network",
                "the gap between the training and test accuracy of the report's small "
                "network is the same with batch norm as with no norm",
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
                "by all six measures, the loss of a VGG is smoother along the "
                "gradient with batch norm than with no norm",
                "by at least one of six measures, the loss of a VGG is not smoother "
                "along the gradient with batch norm than with no norm",
                "the loss of a VGG is smoother along the gradient with batch norm "
                "than with no norm by all six measures",
                "by all six measures, the loss of a VGG is as smooth along the "
                "gradient with batch norm as with no norm",
            ),
            Point(
                "SF4g",
                "by all six measures, the loss of a VGG is smoother along the "
                "gradient with group norm than with no norm",
                "by at least one of six measures, the loss of a VGG is not smoother "
                "along the gradient with group norm than with no norm",
                "the loss of a VGG is smoother along the gradient with group norm "
                "than with no norm by all six measures",
                "by all six measures, the loss of a VGG is as smooth along the "
                "gradient with group norm as with no norm",
            ),
        ),
        (("santurkar_vgg_cpu", "santurkar_4"), ("smoothness_digits", "santurkar_4")),
        ("H1", "H2", "H3", "SF1", "SF10", "S4.2s", "C10", "C10p"),
    ),
    Finding(
        "batches",
        "Small batches",
        "Is group norm better than batch norm if batches are small?",
        (
            Point(
                "W5",
                "at batch sizes of 2 and 4, a ResNet ends with a higher test accuracy "
                "with group norm than with batch norm",
                "at a batch size of 2, of 4 or at both, a ResNet does not end with a "
                "higher test accuracy with group norm than with batch norm",
                "a ResNet ends with a higher test accuracy with group norm than with "
                "batch norm at batch sizes of 2 and 4",
                "at batch sizes of 2 and 4, a ResNet ends with the same test accuracy "
                "with group norm as with batch norm",
            ),
            Point(
                "W4",
                "a ResNet with batch norm loses accuracy as the batch shrinks from 32 "
                "to 2, and more than one with group norm",
                "a ResNet with batch norm does not lose accuracy as the batch shrinks "
                "from 32 to 2, or not more than one with group norm",
                "a ResNet with batch norm loses accuracy as the batch shrinks from 32 "
                "to 2, and more than one with group norm",
                "a ResNet with batch norm is as accurate with a batch of 2 as of 32, "
                "alone and compared with group norm",
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
                "batch norm does not reduce the internal covariate shift of a VGG by "
                "an amount that matters (0.05 in its cosine)",
                "batch norm reduces the internal covariate shift of a VGG",
                "batch norm reduces the internal covariate shift of a VGG by an "
                "amount that matters (0.05 in its cosine)",
            ),
            Point(
                "SF3d",
                "batch norm does not reduce the internal covariate shift of a deep "
                "linear network by an amount that matters (0.05 in its cosine)",
                "batch norm reduces the internal covariate shift of a deep linear "
                "network",
                "batch norm reduces the internal covariate shift of a deep linear "
                "network by an amount that matters (0.05 in its cosine)",
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
                "in all seven comparisons, groups of correlated channels train better "
                "than other groups (sequential, random or anti-correlated)",
                "in at least one of seven comparisons, groups of correlated channels "
                "do not train better than other groups (sequential, random or "
                "anti-correlated)",
                "groups of correlated channels train better than other groups "
                "(sequential, random or anti-correlated) in all seven comparisons",
                "in all seven comparisons, groups of correlated channels train as "
                "well as other groups (sequential, random or anti-correlated)",
            ),
            Point(
                "C9h",
                "in all four comparisons, groups of channels with like moments train "
                "better than other groups (sequential or anti-correlated)",
                "in at least one of four comparisons, groups of channels with like "
                "moments do not train better than other groups (sequential or "
                "anti-correlated)",
                "groups of channels with like moments train better than other groups "
                "(sequential or anti-correlated) in all four comparisons",
                "in all four comparisons, groups of channels with like moments train "
                "as well as other groups (sequential or anti-correlated)",
            ),
        ),
        (("grouping_small_cnn", "curves"), ("postmortem_groups", "groups")),
        ("F2", "C7", "C9", "C9p"),
    ),
    REPORT,
    THEORY,
)
