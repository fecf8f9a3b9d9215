"""A view is handed over once, and only the newest one."""

import threading

from edge.web.views import Views


def test_only_a_newer_view_is_handed_over() -> None:
    views = Views()
    assert views.wait(0, 0) is None
    for number in (1, 2):
        assert views.next_seq == number
        views.put(b"%d" % number)
    view = views.wait(0, 0)
    assert view is not None
    assert (view.seq, view.payload) == (2, b"2")
    assert views.wait(2, 0) is None


def test_waiting_ends_with_the_next_view() -> None:
    views = Views()
    views.put(b"old")
    received = []
    waiting = threading.Thread(target=lambda: received.append(views.wait(1, 20)))
    waiting.start()
    views.put(b"new")
    waiting.join(20)
    assert [view.payload for view in received if view] == [b"new"]
