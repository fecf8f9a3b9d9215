"""What the broker does with each topic, and when one is tried again."""

import pytest

from edge.delivery.mqtt_topics import Topics
from edge.types import Message

WINDOW, STATE = Message("t/window", "{}", key=1), Message("t/state", "{}")


def test_windows_are_trusted_to_pass_until_one_is_refused() -> None:
    """Only then is the next one sent alone again."""
    topics = Topics()
    topics.accept(WINDOW)
    topics.accept(STATE)
    assert topics.trusted == {"t/window"}
    assert topics.accepted == {"t/window", "t/state"}
    topics.refuse(WINDOW, "not allowed")
    assert topics.trusted == set()
    assert topics.refused == {"t/window": "not allowed"}
    topics.accept(WINDOW)
    assert topics.refused == {}


def test_a_refused_topic_is_tried_again_after_its_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr("edge.delivery.mqtt_topics.time.monotonic", lambda: clock[0])
    topics = Topics()
    topics.refuse(STATE, None, 5.0)
    topics.refuse(WINDOW, "not allowed", 1000.0)
    assert topics.refused == {"t/window": "not allowed"}  # of the other it is not certain yet
    for clock[0], paused in (
        (104.9, {"t/state", "t/window"}), (105.0, {"t/window"}), (160.0, set[str]()),
    ):  # fmt: skip
        assert topics.paused == paused
        assert topics.is_due("t/state") == ("t/state" not in paused)
    topics.tried("t/state")
    assert not topics.is_due("t/state")
    assert not topics.is_due("t/never")
