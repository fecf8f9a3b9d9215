"""Choose the version of MQTT to greet a broker with: first the one that worked last."""

import time
from typing import Protocol

from edge.delivery.mqtt_broker import VERSIONS, Version
from edge.delivery.mqtt_limits import Limits

UPGRADE_S = 3600.0
"""Seconds after which a broker that only spoke 3.1.1 is greeted with 5 again, and one that no
longer answers with another version."""


class Greeting(Protocol):
    """A connection that has ended, as far as it shows what its broker speaks."""

    version: Version
    limits: Limits

    @property
    def opened(self) -> bool: ...
    @property
    def hung(self) -> bool: ...
    @property
    def speaks_other(self) -> bool: ...
    @property
    def will_refused(self) -> bool: ...


class Versions:
    """Versions in rounds: the second is tried right after the first; rounds are apart."""

    def __init__(self, only: Version | None) -> None:
        """Try `only` this version; None: whichever works."""
        self._allowed: list[Version] = list(VERSIONS) if only is None else [only]
        self._known = self._allowed[0]
        """The version that worked last."""
        self._newest_tried = self._worked_at = float("-inf")
        self._tried: set[tuple[Version, Limits]] = set()
        """Tried in this round."""
        self.limits = Limits()
        """What the broker accepts, as far as known before the greeting."""
        self.next = self._first()

    def _first(self) -> Version:
        newest, now = self._allowed[0], time.monotonic()
        version = newest if now - self._newest_tried >= UPGRADE_S else self._known
        return self._note(version)

    def _note(self, version: Version) -> Version:
        if version == self._allowed[0]:
            self._newest_tried = time.monotonic()
        self._tried.add((version, self.limits))
        return version

    def after(self, link: Greeting) -> bool:
        """Set `next` after `link` ended; return whether to try it at once, in the same round."""
        if link.opened:
            self._known, self.limits = link.version, link.limits
            self._worked_at = time.monotonic()
        else:
            if link.will_refused:
                self.limits = link.limits
            others = [link.version] if link.will_refused else []
            # a broker that worked and no longer answers hangs as a whole
            is_stuck = link.hung and time.monotonic() - self._worked_at < UPGRADE_S
            if link.speaks_other and not is_stuck:
                others += [v for v in self._allowed if v != link.version]
            for version in others:
                if (version, self.limits) not in self._tried:
                    self.next = self._note(version)
                    return True
        self._tried.clear()
        self.next = self._first()
        return False
