"""Publishing to stdout."""

import io
import json
import threading
from pathlib import Path

import pytest

from edge.delivery.courier import Courier
from edge.delivery.jsonl_publisher import JsonLinesPublisher
from edge.delivery.outbox import Outbox
from edge.types import AckResult, Message, People
from tests.support.commands import wait_for


def test_json_lines_are_delivered_once_written() -> None:
    stream = io.StringIO()
    publisher = JsonLinesPublisher(stream)
    publisher.publish(Message("a/window", '{"n": 1}', 1, False, 7))
    publisher.publish(Message("a/availability", "online"))
    assert publisher.poll().delivered == [7]
    assert publisher.poll().delivered == []
    assert [json.loads(line) for line in stream.getvalue().splitlines()] == [
        {"topic": "a/window", "payload": {"n": 1}},
        {"topic": "a/availability", "payload": "online"},
    ]


def test_an_unexpected_error_does_not_end_the_delivery(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    wake = threading.Event()
    wake.set()

    class FailingOnce(JsonLinesPublisher):
        has_failed = False

        def poll(self) -> AckResult:
            if not self.has_failed:
                self.has_failed = True
                wake.set()
                raise ZeroDivisionError("unexpected")
            return super().poll()

    stream = io.StringIO()
    outbox = Outbox(tmp_path / "outbox.db")
    outbox.append(
        People(female=1), day="2026-11-21", seconds=60,
        make=lambda epoch, seq, totals: Message("a/window", "{}", 1, False, seq),
    )  # fmt: skip
    courier = Courier(outbox, FailingOnce(stream), wake)
    wait_for(lambda: len(outbox) == 0, "the window is not delivered")
    courier.close(1)
    outbox.close()
    assert "unexpected" in caplog.text
    assert stream.getvalue().count("a/window") == 1
