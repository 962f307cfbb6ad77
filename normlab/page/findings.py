"""The questions that the page answers, and which claims and figures answer them.

The clauses say what a claim means if it is true and if it is false. Which of them is
shown, how sure it is and at what scale, is computed (`normlab.page.answer`).
"""

from typing import NamedTuple


class Point(NamedTuple):
    """What a claim says about a question.

    Attributes:
      claim: the id of the claim.
      true, false: clauses: what follows if the claim is supported or contradicted.
      open: what is not known if the claim is undecided, after "whether".
    """

    claim: str
    true: str
    false: str
    open: str


class Finding(NamedTuple):
    """A question, and where its answer is.

    Attributes:
      id: its address on the page, without its prefix.
      name: its entry in the list of contents.
      question: the question.
      points: what the claims say; the first ones that are measured are the answer.
      figures: (run, figure): the first one that is on the page is shown.
      others: further claims about the question.
      metric: the metric of the figure that the question is about; "" if it is the
        figure's main one.
    """

    id: str
    name: str
    question: str
    points: tuple[Point, ...]
    figures: tuple[tuple[str, str], ...] = ()
    others: tuple[str, ...] = ()
    metric: str = ""


FINDINGS = (
    Finding(
        "rates",
        "Learning rates",
        "Does batch norm allow larger learning rates?",
        (
            Point(
                "H4",
                "batch norm trains at learning rates at which a network without a norm "
                "fails",
                "batch norm does not raise the learning rate at which training fails",
                "batch norm raises the learning rate at which training fails",
            ),
            Point(
                "C2c",
                "a larger rate with batch norm reaches the same accuracy in fewer "
                "steps",
                "a larger rate with batch norm does not reach the same accuracy in "
                "fewer steps",
                "a larger rate with batch norm saves steps",
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
                "at the report's learning rates, batch norm speeds up the training of "
                "its small network",
                "at the report's learning rates, batch norm does not speed up the "
                "training of its small network",
                "batch norm speeds up the training of the report's small network",
            ),
            Point(
                "C11p",
                "group norm slows it down",
                "group norm does not slow it down",
                "group norm slows it down",
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
                "batch norm ends with a higher test accuracy",
                "batch norm ends with a lower test accuracy",
                "batch norm changes the test accuracy",
            ),
            Point(
                "C6p",
                "group norm with about the same as no norm",
                "group norm with another one than no norm",
                "group norm changes it",
            ),
            Point(
                "H6",
                "batch norm narrows the gap between training and test accuracy",
                "batch norm does not narrow the gap between training and test accuracy",
                "batch norm narrows the gap between training and test accuracy",
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
                "with batch norm, the loss is smoother along the gradient of a VGG",
                "with batch norm, the loss is not smoother along the gradient of a VGG",
                "batch norm makes the loss smoother along the gradient of a VGG",
            ),
            Point(
                "SF4g",
                "with group norm it is, too",
                "with group norm it is not",
                "group norm does so, too",
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
                "at batch sizes of 2 and 4, group norm is better than batch norm",
                "at batch sizes of 2 and 4, group norm is worse than batch norm",
                "group norm is better than batch norm at batch sizes of 2 and 4",
            ),
            Point(
                "W4",
                "batch norm loses accuracy as the batch shrinks",
                "batch norm does not lose accuracy as the batch shrinks",
                "batch norm loses accuracy as the batch shrinks",
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
                "batch norm does not reduce internal covariate shift",
                "batch norm reduces internal covariate shift",
                "batch norm reduces internal covariate shift in a VGG",
            ),
            Point(
                "SF3d",
                "nor does it in a deep linear network",
                "in a deep linear network it does",
                "it does so in a deep linear network",
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
                "groups of correlated channels normalize better than sequential ones",
                "groups of correlated channels normalize worse than sequential ones",
                "groups of correlated channels normalize better than sequential ones",
            ),
            Point(
                "C9h",
                "groups of unlike channels are the reason why group norm does not help",
                "groups of unlike channels are not the reason why group norm does not "
                "help",
                "groups of unlike channels are the reason why group norm does not help",
            ),
        ),
        (("grouping_small_cnn", "curves"), ("postmortem_groups", "groups")),
        ("F2", "C7", "C9", "C9p"),
    ),
    Finding(
        "report",
        "The report's numbers",
        "Do the student report's results come out again?",
        (
            Point(
                "B10",
                "the report applied batch norm only after the convolutions",
                "the report also applied batch norm after the hidden dense layer, "
                "which it does not say",
                "the report applied batch norm only after the convolutions",
            ),
            Point(
                "R2",
                "its test accuracies at a learning rate of 1e-4 come out again",
                "its test accuracies at a learning rate of 1e-4 do not come out again",
                "its test accuracies at a learning rate of 1e-4 come out again",
            ),
            Point(
                "R6",
                "those of group norm do, too",
                "those of group norm do not",
                "those of group norm do",
            ),
        ),
        (("report_bn", "report_bn"), ("report_gn", "report_gn")),
        ("R1", "R3", "R4", "R5", "R7", "B1", "B1t", "B1l", "B2", "B2p", "B6"),
    ),
    Finding(
        "theory",
        "Theory",
        "Do the bounds of the theory hold in trained networks?",
        (
            Point(
                "F1",
                "the corrected bounds hold, for group norm as for batch norm",
                "the corrected bounds do not hold for group norm",
                "the bounds hold for group norm",
            ),
            Point(
                "S4.1",
                "Theorem 4.1 holds as Santurkar et al. print it",
                "Theorem 4.1 fails as Santurkar et al. print it, with 1/√m",
                "Theorem 4.1 holds as Santurkar et al. print it",
            ),
            Point(
                "S4.2s",
                "batch norm lowers the curvature along the gradient",
                "batch norm does not lower the curvature along the gradient",
                "batch norm lowers the curvature along the gradient",
            ),
        ),
        (("smoothness_digits", "identity_slack"),),
        ("F4", "S4.1c", "S4.1g", "S4.2", "S4.5"),
    ),
)
