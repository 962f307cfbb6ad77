"""``python -m normlab.analysis``: mistakes in one line, as those of a sweep."""

import pytest

from normlab.analysis.__main__ import flag_values, main
from tests.called import called


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
    assert called(main, flag_values(), argv) == 1
    assert line in capsys.readouterr().err
