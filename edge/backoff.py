"""Waits that grow with each failure, and differ by chance."""

import random


class Backoff:
    """Seconds to wait before the next try: twice as long after each failure in a row."""

    def __init__(self, first_s: float, longest_s: float, jitter: tuple[float, float]) -> None:
        """From `first_s` up to `longest_s` seconds, each times a random factor within `jitter`.

        Without it, all that one outage cut off would come back at one moment.
        """
        self._first_s, self._longest_s, self._jitter = first_s, longest_s, jitter
        self._delay_s = 0.0

    def next(self) -> float:
        """The seconds to wait after one more failure."""
        self._delay_s = min(max(self._first_s, 2 * self._delay_s), self._longest_s)
        return self._delay_s * random.uniform(*self._jitter)  # noqa: S311  # not a secret

    def reset(self) -> None:
        """Begin again with the first wait: it has worked."""
        self._delay_s = 0.0
