"""Shows how far a command has counted, as a bar or as occasional lines."""

import sys
import time
from typing import TextIO

from tqdm import tqdm

_LINE_SECONDS = 30.0


class CountProgress:
    """Shows how many points are done. The first call gives those of earlier starts.

    Args:
      name: of what is computed: a landscape, or the quantities of a cell.
      unit: what is counted, ``point`` or ``step``.
      stream: the output, by default standard error. A terminal gets a bar, any other
        stream at most one line every 30 seconds. Both get a line at the end.
    """

    def __init__(self, name: str, unit: str = "point", stream: TextIO | None = None):
        self._name, self._unit = name, unit
        self._stream = sys.stderr if stream is None else stream
        self._begun: int | None = None
        self._done = self._total = 0
        self._started = self._said = time.monotonic()
        self._bar = None
        if self._stream.isatty():
            self._bar = tqdm(
                desc=name, unit=unit, file=self._stream, dynamic_ncols=True
            )

    def __call__(self, done: int, total: int) -> None:
        """``done`` of ``total`` are done."""
        if self._begun is None:
            self._begun = done
            if 0 < done < total:
                self._say(f"goes on from {self._unit} {done} of {total}")
        self._done, self._total = done, total
        if self._bar is not None:
            self._bar.total, self._bar.initial = total, self._begun
            self._bar.update(done - self._bar.n)
        elif done < total and time.monotonic() - self._said >= _LINE_SECONDS:
            self._say(f"{self._unit} {done} of {total}")

    def close(self) -> None:
        """Ends the display and prints the number of computed points.

        It prints nothing if an error came before there was anything to compute.
        """
        if self._bar is not None:
            self._bar.close()
        if self._begun is None:
            return
        computed = self._done - self._begun
        seconds = time.monotonic() - self._started
        self._say(
            f"{computed} of {self._total} {self._unit}s computed in {seconds:.1f} s"
        )

    def _say(self, text: str) -> None:
        self._said = time.monotonic()
        if self._bar is not None:
            self._bar.write(f"{self._name}: {text}", file=self._stream)
        else:
            print(f"{self._name}: {text}", file=self._stream, flush=True)
