"""Messages on stdout."""

import io
import json

from edge.lines import JsonLinesPublisher
from edge.records import Message


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
