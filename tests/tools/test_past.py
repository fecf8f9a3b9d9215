"""The demo's made past keeps the contract, and its own account."""

import json
from datetime import UTC
from itertools import pairwise

from edge.delivery.messages import Messages
from tests.support import contract
from tools.collection.published import read_window
from tools.simulation.past import EPOCH, MIN_PEOPLE, past

MONDAY = 1_795_392_000
"""2026-11-23 00:00 UTC."""


def test_it_is_what_a_device_would_have_published() -> None:
    messages = Messages(site="demo", device="edge-1", model="m@12345678", discovery_prefix=None)
    made = list(past(messages, MONDAY, MONDAY + 2 * 86400, busy=0.5, zone=UTC))
    for message in made:
        contract.validate(message.topic, message.payload)
    windows = [read_window(message.payload) for message in made]
    assert [window.seq for window in windows] == list(range(1, len(made) + 1))
    assert {window.epoch for window in windows} == {EPOCH}
    assert all(a.ended == b.started for a, b in pairwise(windows))
    ever = 0
    for window in windows:
        ever += window.people.total
        assert window.totals.total == ever
        shown = window.people.female is not None
        assert shown == (window.people.total == 0 or window.people.total >= MIN_PEOPLE)
        assert (window.bins("attention_s") is not None) == shown
    assert ever > 50
    nights = [window for window in windows if (window.ended - MONDAY) % 86400 < 9 * 3600]
    assert nights
    assert all(window.coverage == 0 for window in nights)
    again = past(messages, MONDAY, MONDAY + 2 * 86400, busy=0.5, zone=UTC)
    assert [json.loads(message.payload) for message in again] == [
        json.loads(message.payload) for message in made
    ]
