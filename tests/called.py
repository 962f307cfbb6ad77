"""A command of the suite in this process."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from normlab.flags import run


def called(
    main: Callable, values: Any, words: Sequence[str], program: str = "it"
) -> int:
    """Its exit status.

    Args:
      values: the command's flags, not yet parsed.
      words: its command line.
    """
    with pytest.raises(SystemExit) as stop:
        run(main, values, program=program, doc="", argv=words)
    code = stop.value.code or 0
    assert isinstance(code, int)
    return code
