"""The exceptions that a command line turns into a single line and status 1."""

_LONGEST_LINE = 2000


class UserError(ValueError):
    """A mistake the user can mend; the message says what, where, and what to do.

    The message is one line: command lines print it after ``error: `` and exit
    with status 1, without a traceback.
    """


class Unwritable(UserError):
    """Nothing can be stored: a full disk, say, or a folder that may not be written.

    It ends a run at once, where another error is that of one cell.
    """


def one_line(error: BaseException) -> str:
    """The message of an error, folded into one line of a length that can be read."""
    text = " ".join(str(error).split()) or type(error).__name__
    if len(text) > _LONGEST_LINE:
        half = _LONGEST_LINE // 2
        text = f"{text[:half]} ... {text[-half:]}"
    return text
