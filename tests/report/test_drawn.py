"""Figures are drawn in several processes where they are many: the same ones."""

from concurrent.futures import ProcessPoolExecutor

from normlab.figures import Sources
from normlab.report import drawn


def test_processes_draw_what_one_draws(plain, monkeypatch):
    plots = [
        plot
        for plot in drawn.plots(Sources(plain))
        if plot.name in ("curves", "lr_sensitivity")
    ]
    begun = []

    def processes(workers: int, context) -> ProcessPoolExecutor:
        begun.append((workers, context.get_start_method()))
        return ProcessPoolExecutor(workers, context)

    monkeypatch.setattr(drawn, "ProcessPoolExecutor", processes)
    alone = drawn.draw_all(plots)
    assert begun == [] and [one.name for one in alone] == ["curves", "lr_sensitivity"]
    monkeypatch.setattr(drawn, "_WORTH", 1)
    monkeypatch.setattr(drawn, "cores", lambda: 2)
    assert drawn.draw_all(plots) == alone
    assert begun == [(2, "spawn")]
