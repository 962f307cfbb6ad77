"""Exceptions that a command line reports in one line, with exit status 1."""

import difflib
from collections.abc import Iterable

_LONGEST_LINE = 2000


class UserError(ValueError):
    """A mistake that the user can fix. The message says what is wrong and what to do.

    The message is one line: command lines print it after ``error:`` and exit
    with status 1, without a traceback.
    """


class Unwritable(UserError):
    """Nothing can be stored: for example, the disk is full or the folder is read-only.

    It ends the whole run at once. Other errors end only one cell.
    """


def one_line(error: BaseException) -> str:
    """The error's message folded into one line, and shortened if it is very long."""
    text = " ".join(str(error).split()) or type(error).__name__
    if len(text) > _LONGEST_LINE:
        half = _LONGEST_LINE // 2
        text = f"{text[:half]} ... {text[-half:]}"
    return text


def did_you_mean(word: str, known: Iterable[str], before: str = "") -> str:
    """``; did you mean batch?``: the name that is nearest to a wrong one, or "".

    Args:
      before: what precedes a name: the dashes of a flag.
    """
    near = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean {before}{near[0]}?" if near else ""
