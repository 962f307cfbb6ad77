"""The scripts that train a claim's networks on a GPU, at the scale of its source.

A test finds them again from the flags of the scripts (`experiments/gpu`).
"""

FOLDER = "experiments/gpu"
SCRIPTS: dict[str, tuple[str, ...]] = {
    "C1": (
        "10_report_bn",
        "11_report_bn_more",
    ),
    "C1p": ("13_proper_bn",),
    "C1t": (
        "10_report_bn",
        "11_report_bn_more",
    ),
    "C1tp": ("13_proper_bn",),
    "C2a": (
        "10_report_bn",
        "11_report_bn_more",
    ),
    "C2ap": ("13_proper_bn",),
    "C2b": ("16_rates_and_sizes",),
    "C2c": ("16_rates_and_sizes",),
    "C3": (
        "10_report_bn",
        "11_report_bn_more",
    ),
    "C3p": ("13_proper_bn",),
    "C3s": ("16_rates_and_sizes",),
    "C4": (
        "10_report_bn",
        "12_group_norm",
    ),
    "C4p": (
        "12_group_norm",
        "13_proper_bn",
    ),
    "C5": ("12_group_norm",),
    "C5p": ("12_group_norm",),
    "C6": ("12_group_norm",),
    "C6p": ("12_group_norm",),
    "C7": ("12_group_norm",),
    "C8": ("15_postmortem_more",),
    "C8p": ("15_postmortem_more",),
    "C9": ("15_postmortem_more",),
    "C9p": ("15_postmortem_more",),
    "C10": ("15_postmortem_more",),
    "C10p": ("15_postmortem_more",),
    "C11": ("12_group_norm",),
    "C11p": ("12_group_norm",),
    "F2": ("14_postmortem",),
    "H1": (
        "20_vgg_none",
        "21_vgg_batch",
    ),
    "H2": (
        "20_vgg_none",
        "21_vgg_batch",
    ),
    "H3": (
        "20_vgg_none",
        "21_vgg_batch",
    ),
    "H4": ("16_rates_and_sizes",),
    "H5": ("14_postmortem",),
    "H6": ("13_proper_bn",),
    "H6d": (
        "20_vgg_none",
        "21_vgg_batch",
        "29_vgg_decay_none",
        "30_vgg_decay_batch",
    ),
    "R1": ("10_report_bn",),
    "R2": ("11_report_bn_more",),
    "R3": ("11_report_bn_more",),
    "R4": ("10_report_bn",),
    "R5": ("12_group_norm",),
    "R6": ("12_group_norm",),
    "R7": ("12_group_norm",),
    "B10": (
        "10_report_bn",
        "11_report_bn_more",
    ),
    "B1": ("15_postmortem_more",),
    "B1t": ("15_postmortem_more",),
    "B1l": ("15_postmortem_more",),
    "B2": ("13_proper_bn",),
    "B2p": ("13_proper_bn",),
    "B3": (
        "10_report_bn",
        "11_report_bn_more",
    ),
    "B3p": ("13_proper_bn",),
    "B6": ("14_postmortem",),
    "B10a": ("14_postmortem",),
    "B10c": ("14_postmortem",),
    "B10b": ("14_postmortem",),
    "SF1": (
        "20_vgg_none",
        "21_vgg_batch",
        "23_vgg_fast_none",
        "24_vgg_fast_batch",
    ),
    "SF2": (
        "20_vgg_none",
        "21_vgg_batch",
        "28_vgg_noisy",
    ),
    "SF3": (
        "20_vgg_none",
        "21_vgg_batch",
    ),
    "SF4": (
        "20_vgg_none",
        "21_vgg_batch",
    ),
    "SF4g": (
        "20_vgg_none",
        "22_vgg_group",
    ),
    "SF5": (
        "20_vgg_none",
        "25_vgg_l1",
        "26_vgg_l2",
        "27_vgg_linf",
    ),
    "W1": (
        "31_resnet_batch",
        "32_resnet_group",
    ),
    "W2": (
        "31_resnet_batch",
        "32_resnet_group",
    ),
    "W3": (
        "32_resnet_group",
        "36_resnet_2",
    ),
    "W4": (
        "31_resnet_batch",
        "32_resnet_group",
        "36_resnet_2",
    ),
    "W5": (
        "35_resnet_4",
        "36_resnet_2",
    ),
    "W6": (
        "32_resnet_group",
        "33_resnet_layer",
        "34_resnet_instance",
    ),
    "W7": (
        "21_vgg_batch",
        "22_vgg_group",
    ),
}


def scripts_of(claim: str) -> str:
    """The scripts of a claim, in words; "" if there are none."""
    names = SCRIPTS.get(claim, ())
    return f"{FOLDER}/: {', '.join(names)}" if names else ""
