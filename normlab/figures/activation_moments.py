"""Mean and standard deviation of single channels during training (report, E9).

The report shows the means of three channels of its second convolution before the norm.
As in `activation_histogram`, this is the last norm layer.
"""

import pandas as pd
from matplotlib.figure import Figure

from normlab.figures import histograms
from normlab.figures.colours import others
from normlab.figures.fitting import columns_for
from normlab.figures.headings import title
from normlab.figures.panels import grid, legend
from normlab.figures.sharing import shared
from normlab.figures.style import style
from normlab.figures.tables import few, left_out, with_origin

_MOST_SETTINGS = 6
_SAYS = "How the mean and deviation of single channels move during training"
_ROWS = {
    ("before", "mean"): "mean before\nthe norm",
    ("before", "std"): "deviation before\nthe norm",
    ("after", "mean"): "mean after\nthe norm",
    ("after", "std"): "deviation after\nthe norm",
}


def tabulate(frame: pd.DataFrame) -> pd.DataFrame:
    """The table for `draw`: the moments at the last norm layer, for one seed."""
    frame = histograms.of_one_member(frame)
    layer = shared(frame, "norm_layer")[-1]
    columns = ["setting", "point", "seed", "norm_layer", "side", "channel", "step"]
    table = frame.loc[frame["norm_layer"] == layer, [*columns, "mean", "std"]]
    # A channel that the layer does not have is NaN.
    return with_origin(table.dropna(subset=["mean"]), frame)


@style()
def draw(table: pd.DataFrame) -> Figure:
    """One column per norm, one line per channel."""
    settings = few(dict.fromkeys(table["setting"]), columns_for(_MOST_SETTINGS))
    note = left_out(settings, table["setting"], "norms")
    figure, axes = grid(len(_ROWS), len(settings), height=1.3, sharex=True)
    channels = list(dict.fromkeys(table["channel"]))
    colors = dict(zip(channels, others(len(channels)), strict=True))
    for ax_row, ((side, moment), label) in zip(axes, _ROWS.items(), strict=True):
        for ax, setting in zip(ax_row, settings, strict=True):
            mine = table[(table["side"] == side) & (table["setting"] == setting)]
            for channel, line in mine.groupby("channel", sort=False):
                name = f"channel {channel}"
                color = colors[channel]
                ax.plot(line["step"], line[moment], color=color, label=name)
        ax_row[0].set_ylabel(label)
    for ax, setting in zip(axes[0], settings, strict=True):
        ax.set_title(setting)
    for ax in axes[-1]:
        ax.set_xlabel("step")
    layer = table["norm_layer"].iloc[0]
    title(figure, [*histograms.caption_parts(table), layer, note], _SAYS)
    legend(figure)
    return figure
