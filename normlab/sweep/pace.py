"""How fast a cell trains, and how long the rest takes."""

import time


def clock(seconds: float) -> str:
    """``1:23``, or ``1:02:03`` from an hour on."""
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def pace_words(pace: float, left: float) -> list[str]:
    """How many member-steps a second, and how long ``left`` of them take.

    Nothing if the pace is 0.
    """
    if not pace:
        return []
    number = f"{pace:.0f}" if pace >= 10 else f"{pace:.2g}"
    return [f"{number} member-steps/s", f"{clock(left / pace)} left"]


class Pace:
    """Counts a cell's member-steps from now on, and the time that they take."""

    def __init__(self):
        self._begun, self._done = time.monotonic(), 0

    def advance(self, member_steps: int) -> None:
        """So many more are done."""
        self._done += member_steps

    def leave_out(self, seconds: float) -> None:
        """So long nothing was trained, because a program was compiled."""
        self._begun += seconds

    @property
    def now(self) -> float:
        """Member-steps a second; 0 if it is not known yet."""
        spent = time.monotonic() - self._begun
        return self._done / spent if spent > 0 else 0.0
