"""How long a broker may take to acknowledge, before another is tried.

A cluster whose node has just died may never acknowledge what it was handing on. A link may also be
slow. So the wait is short at first and grows with each connection given up in vain.
"""

FIRST_S = 10.0
"""Seconds without any acknowledgement, at first."""


class Patience:
    """Seconds to wait for an acknowledgement."""

    def __init__(self, longest_s: float) -> None:
        """`longest_s`: as long as a broker may be silent (MQTT 5, section 3.1.2.10)."""
        self._longest_s = longest_s
        self.seconds = min(FIRST_S, longest_s)

    def after(self, *, stalled: bool, stable: bool) -> None:
        """A connection ended. `stalled`: nothing more came; `stable`: it had lasted."""
        if stalled:
            self.seconds = min(2 * self.seconds, self._longest_s)
        elif stable:
            self.seconds = min(FIRST_S, self._longest_s)
