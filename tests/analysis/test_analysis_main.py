"""``python -m normlab.analysis``: mistakes in one line, as those of a sweep."""

import pytest

from normlab import flags
from normlab.analysis.__main__ import _flags, main


@pytest.mark.parametrize(
    ("word", "line"),
    [
        ("--probe_etas=1,1", "--probe_etas names 1.0 twice"),
        ("--probe_channels=0,2,0", "--probe_channels names 0 twice"),
        ("--probe_etas=-1", "--probe_etas=-1.0: must be above 0"),
    ],
)
def test_what_a_sweep_refuses(word, line, tmp_path, capsys):
    argv = [f"--run={tmp_path}", "--quantities=gradient_norm", word]
    with pytest.raises(SystemExit) as stop:
        flags.run(main, _flags(), program="normlab.analysis", doc="", argv=argv)
    assert stop.value.code == 1
    assert line in capsys.readouterr().err
