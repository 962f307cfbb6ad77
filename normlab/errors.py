"""The exceptions that a command line turns into a single line and status 1."""


class UserError(ValueError):
    """A mistake the user can mend; the message says what, where, and what to do.

    The message is one line: command lines print it after ``error: `` and exit
    with status 1, without a traceback.
    """


class Unwritable(UserError):
    """Nothing can be stored: a full disk, say, or a folder that may not be written.

    It ends a run at once, where another error is that of one cell.
    """
