"""The one exception that a command line turns into a single line and status 1."""


class UserError(ValueError):
    """A mistake the user can mend; the message says what, where, and what to do.

    The message is one line: command lines print it after ``error: `` and exit
    with status 1, without a traceback.
    """
