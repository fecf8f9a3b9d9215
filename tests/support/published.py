"""Windows as devices publish them, for the dashboard."""

import json
from collections.abc import Sequence
from typing import Any

from edge.delivery.messages import Messages
from edge.types import Message, People, Totals, Window

MODEL = "m@12345678"


def window(
    seq: int,
    end: float,
    people: tuple[int, int, int] | int = (3, 2, 1),
    *,
    site: str = "store-7",
    device: str = "lobby",
    epoch: str = "6f0c2a7e",
    seconds: float = 60.0,
    coverage: float = 1.0,
    ever: int | None = None,
    ages: Sequence[int] | None = None,
    model: str = MODEL,
    time_synced: bool = True,
    **keys: Any,
) -> Message:
    """`people` are women, men and unknown, or a number of which no more is shown.

    `end` is in seconds since 1970, `ever` everybody counted up to and including this window.
    """
    is_told = isinstance(people, tuple)
    counts = People(*people) if isinstance(people, tuple) else People(unknown=people)
    total = counts.total
    told = Window(
        start=end - seconds, end=end, seconds=seconds, people=counts, broken_down=is_told,
        dwell_mean=6.0 if total and is_told else None,
        dwell_bins=(total, 0, 0, 0, 0) if is_told else (0,) * 5,
        presence_peak=min(total, 3), presence_mean=0.5, coverage=coverage,
        ages=None if ages is None else tuple(ages),
    )  # fmt: skip
    totals = Totals(People(unknown=total if ever is None else ever), "2026-11-21", counts)
    messages = Messages(site=site, device=device, model=model, discovery_prefix=None)
    message = messages.window(told, epoch=epoch, seq=seq, totals=totals, time_synced=time_synced)
    payload = json.dumps(json.loads(message.payload) | keys)
    return Message(message.topic, payload, message.qos, key=seq)
