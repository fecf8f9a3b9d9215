"""The live number of people in view: when it is published, and as what. Pure."""

PUBLISH_EVERY_S = 1.0
"""Least time between two numbers, seconds."""
NOT_KNOWN = ""
"""The payload while nobody knows; the broker then retains none."""


class LivePresence:
    """Gives out the number of people in view when it changes, at most once a second."""

    def __init__(self, min_present: int) -> None:
        """Fewer than `min_present` people are shown as 0."""
        self._min_present = min_present
        self._published: str | None = None
        self._due = float("-inf")

    def update(self, mono: float, present: int | None) -> str | None:
        """The payload to publish at `mono`, seconds; None if there is nothing to publish.

        `present` is the number of people in view, None if nobody knows.
        """
        if present is None:
            payload = NOT_KNOWN
        else:
            payload = str(present if present >= self._min_present else 0)
        if payload == self._published or mono < self._due:
            return None
        self._published, self._due = payload, mono + PUBLISH_EVERY_S
        return payload
