"""Who may read the dashboard: refused in words, by status, or before it starts."""

import argparse
import asyncio
import base64
import io
import os
import socket
import ssl
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edge.errors import ConfigError
from tests.support.broker import free_port
from tests.support.dashboard import Dashboard
from tests.support.paths import ROOT
from tools import dashboard
from tools.webpage import access
from tools.webpage.access import Guard, Password, host_name
from tools.webpage.app import read_page
from tools.webpage.server import Address

SECRET = "correct horse"


async def hello(_scope: Any, _receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})


def answer(guard: Guard, **headers: str) -> tuple[int, dict[str, str], str]:
    """Status, headers and text that a request gets."""
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "http.request"}

    given = {"host": "localhost:8330"} | headers
    scope = {
        "type": "http",
        "headers": [(k.replace("_", "-").encode(), v.encode()) for k, v in given.items()],
    }
    asyncio.run(guard(scope, receive, send))
    start, body = sent
    answered = {name.decode(): value.decode() for name, value in start["headers"]}
    return start["status"], answered, body["body"].decode()


def guard(password: Password | None = None, *, own_hosts: bool = True) -> Guard:
    return Guard(hello, password=password, own_hosts=own_hosts, policy="default-src 'none'")


@pytest.fixture
def password_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(access, "COST", {"n": 2**4, "r": 8, "p": 1})
    before = os.umask(0o022)
    file = tmp_path / "password"
    Password.write(file, SECRET)
    os.umask(before)
    return file


def basic(password: str) -> str:
    return f"Basic {base64.b64encode(f'anybody:{password}'.encode()).decode()}"


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:8330", 200), ("127.0.0.1", 200), ("[::1]:8330", 200), ("LOCALHOST", 200),
        ("evil.example", 421), ("evil.example:8330", 421), ("localhost.evil.example", 421),
        ("192.0.2.1:8330", 421), ("", 421), ("[::1", 200), ("127.0.0.1.evil.example", 421),
    ],
)  # fmt: skip
def test_on_loopback_only_this_machines_names_are_answered(host: str, status: int) -> None:
    """Or a site whose name is made to lead to 127.0.0.1 could read the page."""
    assert answer(guard(), host=host)[0] == status
    assert answer(guard(own_hosts=False), host=host)[0] == 200


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_other_sites_cannot_read_it_in_a_readers_browser(site: str) -> None:
    status, _, text = answer(guard(), sec_fetch_site=site, sec_fetch_mode="cors")
    assert (status, "not read it" in text) == (403, True)
    assert answer(guard(), sec_fetch_site=site, sec_fetch_mode="navigate")[0] == 200
    assert answer(guard(), sec_fetch_site="same-origin", sec_fetch_mode="cors")[0] == 200


def test_every_answer_has_its_headers(password_file: Path) -> None:
    for guarded in (guard(), guard(Password(password_file))):
        _, headers, _ = answer(guarded)
        assert headers["content-security-policy"] == "default-src 'none'"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert headers["cache-control"] == "no-store"
        assert "set-cookie" not in headers


def test_the_pages_policy_allows_its_own_script_alone() -> None:
    page, policy = read_page()
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert policy.count("'sha256-") == 2
    assert " style=" not in page
    assert "onclick" not in page
    assert "http://www.w3.org" in page, "the only address is a name of SVG"
    addresses = page.replace("http://www.w3.org/2000/svg", "")
    assert "http://" not in addresses
    assert "https://" not in addresses


def test_the_password_is_asked_for(password_file: Path) -> None:
    guarded = guard(Password(password_file))
    status, headers, text = answer(guarded)
    assert (status, "password is needed" in text) == (401, True)
    assert headers["www-authenticate"].startswith("Basic ")
    assert answer(guarded, authorization=basic(SECRET))[0] == 200
    assert answer(guarded, authorization=basic(SECRET))[0] == 200
    for wrong in (basic("wrong"), basic(""), "Basic !", "Bearer x", "", basic("x" * 9999)):
        assert answer(guarded, authorization=wrong)[0] == 401


def test_only_a_hash_is_kept_and_for_its_owner_alone(password_file: Path) -> None:
    assert SECRET not in password_file.read_text()
    assert password_file.stat().st_mode & 0o077 == 0
    again = password_file.read_text()
    Password.write(password_file, SECRET)
    assert password_file.read_text() != again, "each hash has its own salt"


def test_a_short_password_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="10 characters or more"):
        Password.write(tmp_path / "password", "short")


@pytest.mark.parametrize("text", ["", SECRET, "scrypt:zz:00", "bcrypt:00:00"])
def test_a_file_that_holds_no_hash_is_named(tmp_path: Path, text: str) -> None:
    file = tmp_path / "password"
    file.write_text(text)
    with pytest.raises(ConfigError, match="--set-password writes it"):
        Password(file)


def test_host_names() -> None:
    names = ["localhost", "Shop.example:80", "[::1]:8330", "[::1", "", ":80"]
    assert [*map(host_name, names)] == ["localhost", "shop.example", "::1", "::1", "", ""]


Refused = Callable[..., tuple[int, str]]


@pytest.fixture
def refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Refused:
    """Exit code and stderr of a command that does not start."""

    def run(*args: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["dashboard", *args])
        try:
            code = dashboard.main()
        except SystemExit as error:
            code = int(str(error.code))
        return code, capsys.readouterr().err.strip()

    return run


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1:80", "[::]:8330", "tally.example"])
def test_other_machines_need_a_password_or_a_proxy(refused: Refused, host: str) -> None:
    code, text = refused("--listen", host)
    assert code == 2
    assert text.count("\n") == 0
    assert "ask for a password (--password-file), or let a proxy do it (--behind-proxy)" in text


@pytest.mark.parametrize(
    ("args", "reason"),
    [
        (["--listen", "nonsense:x"], "must be like 127.0.0.1:8330"),
        (["--listen", "127.0.0.1:99999"], "must be like 127.0.0.1:8330"),
        (["--cert", "crt"], "--cert and --key belong together"),
        (["--cert", "no.crt", "--key", "no.key"], "--cert no.crt, --key no.key: No such file"),
        (["--set-password"], "name the file to write with --password-file"),
        (["--password-file", "nothing"], "--password-file nothing: No such file"),
        (["--timezone", "Mars/Base"], "--timezone Mars/Base: is not known"),
        (["--timezone", "../etc/passwd"], "is not known"),
        (["--broker", "http://localhost"], "must be like mqtt://localhost:1883"),
        (["--broker", "mqtt://localhost:99999"], "out of range"),
        (["--broker-password-file", "nothing"], "nothing"),
        (["--broker-ca", "nothing"], "--broker-ca nothing: is not a file"),
        (["--broker-ca", "not-pem"], "a certificate is for mqtts://, not for mqtt://"),
        (
            ["--broker", "mqtt://u:p@192.0.2.1", "--store", "/nowhere/tally.db"],
            "WARNING: the broker's password crosses the network unencrypted",
        ),
        (["--listen", "8330"], "8330: must be like 127.0.0.1:8330"),
        (["--store", "mysql://localhost/x"], "--store mysql://localhost/x: name a file, or "),
        (["--broker", "mqtts://localhost", "--broker-ca", "not-pem"], "--broker-ca not-pem: "),
        (["--broker-cert", "crt"], "--broker-cert and --broker-key belong together"),
        (
            ["--broker", "mqtts://localhost", "--broker-cert", "no.crt", "--broker-key", "no.key"],
            "--broker-cert no.crt with --broker-key no.key: cannot be used ([Errno 2] No such file",
        ),
        (["--broker-cert", "x", "--broker-key", "x"], "a certificate is for mqtts://"),
        (["--client-id", ""], "must be 1 to 64 letters, digits, - and _"),
        (["--min-people", "0"], "must be a whole number, 1 or more"),
        (["--store", "/nowhere/tally.db"], "/nowhere/tally.db: unable to open database file"),
        (["--no-page", "--no-collect"], "leave nothing to do"),
        (["--keep-windows", "6"], "must be a whole number, 7 or more"),
        (["--keep-windows", "30", "--no-collect"], "for programs that collect"),
        (["--site", "a/b"], "must be 1 to 64 letters, digits, - and _"),
        (["--site", "a" * 60], "name the collector with --client-id"),
    ],
)
def test_mistakes_are_named(
    refused: Refused, args: list[str], reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("not-pem").write_text("no certificate")
    port = [] if "--listen" in args else ["--listen", f"127.0.0.1:{free_port()}"]
    code, text = refused(*args, *port)
    assert code == 2
    assert reason in text
    assert "Traceback" not in text


def test_an_address_in_use_is_named(refused: Refused) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"127.0.0.1:{other.getsockname()[1]}"
        code, text = refused("--listen", address)
    assert (code, text) == (
        2, f"dashboard: --listen {address}: Address already in use; name another address",
    )  # fmt: skip


def test_a_password_without_tls_is_warned_of(
    password_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = {"password_file": password_file, "cert": None, "behind_proxy": False}
    away, here = Address("192.0.2.1", 80), Address("127.0.0.1", 80)
    assert dashboard.check_access(argparse.Namespace(listen=here, **options))
    assert capsys.readouterr().err == ""
    assert dashboard.check_access(argparse.Namespace(listen=away, **options))
    assert "cross the network unencrypted" in capsys.readouterr().err


def test_a_password_is_set_from_a_pipe(
    refused: Refused, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "password"
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{SECRET}\n"))
    before = os.umask(0o022)
    code, text = refused("--set-password", "--password-file", str(file))
    os.umask(before)
    assert (code, text) == (0, f"dashboard: {file} holds the password's hash")
    assert Password(file).is_right(SECRET)
    assert not Password(file).is_right(f"{SECRET}\n")


def test_a_password_by_tls_behind_a_proxy(
    password_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of it at once, as the real program serves it."""
    cert, key = tmp_path / "page.crt", tmp_path / "page.key"
    subprocess.run(
        [
            "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
            "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1",
            "-out", cert, "-keyout", key,
        ],
        check=True, capture_output=True,
    )  # fmt: skip
    monkeypatch.undo()  # the program hashes at its usual cost
    before = os.umask(0o022)
    Password.write(password_file, SECRET)
    os.umask(before)
    options = ("--cert", str(cert), "--key", str(key), "--behind-proxy")
    served = Dashboard(
        tmp_path, "mqtt://127.0.0.1:1", (*options, "--password-file", str(password_file))
    )
    served.start()
    try:
        assert served.url.startswith("https://127.0.0.1:")
        trusted = ssl.create_default_context(cafile=str(cert))

        def status(**headers: str) -> int:
            request = urllib.request.Request(
                served.url, headers={"Host": "tally.example"} | headers
            )
            try:
                with urllib.request.urlopen(request, context=trusted) as answer:
                    return int(answer.status)
            except urllib.error.HTTPError as error:
                return error.code

        assert status() == 401
        assert status(Authorization=basic("wrong")) == 401
        assert status(Authorization=basic(SECRET)) == 200
    finally:
        assert served.stop() == 0, served.log.read_text()
    assert served.log.read_text().count("Connection refused") == 1, "each trouble is named once"


def test_help_needs_no_broker() -> None:
    run = subprocess.run(
        [sys.executable, "tools/dashboard.py", "--help"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "--behind-proxy" in run.stdout
