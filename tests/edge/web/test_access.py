"""One browser gets in, with the token, and only by this machine's own name."""

import pytest

from edge.web.access import Access, is_own_host, is_own_origin


def test_the_token_gives_the_key_once() -> None:
    access = Access()
    assert access.exchange("") is None
    assert access.exchange(access.token[:-1]) is None
    assert access.exchange("ключ") is None
    key = access.exchange(access.token)
    assert key
    assert key != access.token
    assert access.exchange(access.token) is None
    assert access.admits(f"Bearer {key}")


def test_nothing_but_the_key_admits() -> None:
    access = Access()
    key = Access().exchange("")
    assert key is None
    for header in (None, "", "Bearer ", "Bearer None", f"Bearer {access.token}", "ключ"):
        assert not access.admits(header)
    key = access.exchange(access.token)
    for header in (f"Basic {key}", f"Bearer {key}x", f"Bearer {access.token}", key):
        assert not access.admits(header)


def test_no_key_admits_before_it_was_handed_out() -> None:
    access = Access()
    assert not access.admits(f"Bearer {access._key}")


def test_each_start_has_its_own_token() -> None:
    tokens = {Access().token for _ in range(5)}
    assert len(tokens) == 5
    assert min(map(len, tokens)) >= 32


@pytest.mark.parametrize(
    "host", ["127.0.0.1:8765", "localhost:9000", "localhost", "127.0.0.1", "[::1]:80", "[::1]"]
)
def test_this_machine_may_be_named(host: str) -> None:
    assert is_own_host(host)


@pytest.mark.parametrize(
    "host",
    [
        None, "", ":8765", "evil.example:8765", "192.168.1.5:8765", "127.0.0.1.evil.example",
        "localhost.evil.example:80", "evil.example:80@127.0.0.1", "127.0.0.1:80:80", "0.0.0.0:8765",
    ],
)  # fmt: skip
def test_no_other_name_leads_here(host: str | None) -> None:
    assert not is_own_host(host)


def test_other_pages_may_not_ask() -> None:
    host = "127.0.0.1:8765"
    assert is_own_origin(None, host)
    assert is_own_origin("http://127.0.0.1:8765", host)
    for origin in ("null", "http://127.0.0.1:9000", "https://evil.example", ""):
        assert not is_own_origin(origin, host)
