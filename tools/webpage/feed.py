"""Server-sent events: the devices whose status has changed, and now and then a sign of life."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

LEAST_S = 0.3
"""Between two events, seconds."""
MOST_S = 10.0
"""After this long an event is sent even if nothing has arrived: silence is news, too."""


class Feed:
    """Wakes every reader of the page."""

    def __init__(self, snapshot: Callable[[], dict[str, Any]]) -> None:
        """`snapshot` is what there is to say; its `devices` are entries by `site` and `device`."""
        self._snapshot = snapshot
        self._loop: asyncio.AbstractEventLoop | None = None
        self._readers: set[asyncio.Event] = set()
        self._closed = False

    def notify(self) -> None:
        """Something has changed. May be called on any thread."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._wake)

    def close(self) -> None:
        """End all events."""
        self._closed = True
        self.notify()

    def _wake(self) -> None:
        for reader in self._readers:
            reader.set()

    async def events(self) -> AsyncIterator[str]:
        """The stream that one reader gets: first all devices, then those that changed or went."""
        self._loop = asyncio.get_running_loop()
        changed = asyncio.Event()
        self._readers.add(changed)
        sent: dict[str, Any] | None = None
        try:
            while not self._closed:
                changed.clear()
                event, sent = difference(self._snapshot(), sent)
                yield f"data: {json.dumps(event, separators=(',', ':'))}\n\n"
                await asyncio.sleep(LEAST_S)
                try:
                    await asyncio.wait_for(changed.wait(), MOST_S)
                except TimeoutError:
                    continue
        finally:
            self._readers.discard(changed)


def difference(
    snapshot: dict[str, Any], sent: dict[str, Any] | None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The event for a reader who knows the devices `sent`, and the devices that it then knows."""
    devices = {f"{entry['site']}/{entry['device']}": entry for entry in snapshot["devices"]}
    known = sent or {}
    event = snapshot | {
        "all": sent is None,
        "devices": [entry for name, entry in devices.items() if known.get(name) != entry],
        "gone": sorted(known.keys() - devices.keys()),
    }
    return event, devices
