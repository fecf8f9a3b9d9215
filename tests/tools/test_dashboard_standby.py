"""Several collectors: one works and others stand by, or each has its part of a fleet."""

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from tests.support.broker import Mosquitto, free_port
from tests.support.commands import wait_for
from tests.support.dashboard import Dashboard, publish
from tests.support.postgres import postgres_server
from tests.support.published import window
from tests.system.test_dashboards import rows
from tools import demo
from tools.collection.database import Database

NOW = 1_795_255_200
COUNT = "SELECT COUNT(*) FROM windows"


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with postgres_server("-c", "fsync=off") as address:
        yield address


@pytest.fixture
def collectors(mosquitto: Mosquitto, tmp_path: Path) -> Iterator[Any]:
    """Starts one; each is ended at last."""
    mosquitto.start()
    started: list[Dashboard] = []

    def start(name: str, *options: str) -> Dashboard:
        folder = tmp_path / name
        folder.mkdir()
        dashboard = Dashboard(folder, f"mqtt://127.0.0.1:{mosquitto.port}", options)
        started.append(dashboard)
        dashboard.start()
        return dashboard

    yield start
    for dashboard in started:
        if dashboard.process is not None:
            dashboard.kill()


def subscribed(mosquitto: Mosquitto) -> int:
    """How often somebody subscribed to windows."""
    log = (mosquitto.folder / "mosquitto.log").read_text()
    return log.count("/window (QoS 1)")


def kept(url: str, query: str = COUNT) -> list[Any]:
    import psycopg

    with psycopg.connect(url) as connection:
        return connection.execute(query).fetchall()


def test_a_standby_takes_over_when_a_collector_is_killed(
    mosquitto: Mosquitto, collectors: Any, url: str
) -> None:
    first = collectors("first", "--store", url)
    wait_for(lambda: subscribed(mosquitto) == 1, "it does not subscribe")
    second = collectors("second", "--store", url, "--no-page")
    wait_for(lambda: "this one stands by" in second.log.read_text(), "it does not stand by")
    publish(mosquitto, *(window(n, NOW + 60 * n, ever=6 * n) for n in range(1, 301)))
    first.kill()
    killed = time.monotonic()
    publish(mosquitto, *(window(n, NOW + 60 * n, ever=6 * n) for n in range(301, 401)))
    wait_for(lambda: kept(url) == [(400,)], "the standby does not take over")
    assert time.monotonic() - killed < 20
    assert kept(url, "SELECT SUM(people), SUM(windows) FROM hours") == [(2400, 400)]
    assert kept(url, "SELECT first, last FROM runs") == [(1, 400)]
    assert "collects as edge-tally-dashboard from now on" in second.log.read_text()
    assert subscribed(mosquitto) == 2, "they threw each other out"
    # the first comes back, and waits in its turn
    first.start()
    wait_for(lambda: "this one stands by" in first.log.read_text(), "it does not stand by")
    assert second.stop() == 0
    wait_for(lambda: subscribed(mosquitto) == 3, "it does not take over")
    assert first.stop() == 0


def test_two_on_one_file_stand_by_too(tmp_path: Path) -> None:
    """The lock ends with its holder, and is each client id's own."""
    database = Database(str(tmp_path / "tally.db"))
    first, second, other = (database.holder(name) for name in ("one", "one", "other"))
    assert first.acquire()
    assert first.acquire(), "it is held"
    assert not second.acquire()
    assert not second.is_held()
    assert other.acquire()
    first.release()
    assert second.acquire()
    assert not first.is_held()
    second.release()
    other.release()


def test_a_lock_that_is_lost_is_not_believed(mosquitto: Mosquitto, collectors: Any) -> None:
    """PostgreSQL restarts, and with it every lock is gone."""
    with postgres_server("-c", "fsync=off") as address:
        collector = collectors("only", "--store", address)
        wait_for(lambda: subscribed(mosquitto) == 1, "it does not subscribe")
    wait_for(lambda: "the lock in the database is lost" in collector.log.read_text(), "believed")
    log = mosquitto.folder / "mosquitto.log"
    gone = "Client edge-tally-dashboard disconnected."
    wait_for(lambda: gone in log.read_text(), "it stays connected")


def test_programs_that_throw_each_other_out_do_so_less_and_less(
    mosquitto: Mosquitto, collectors: Any
) -> None:
    """Their stores are their own: neither knows of the other."""
    first = collectors("first", "--no-page")
    wait_for(lambda: subscribed(mosquitto) == 1, "it does not subscribe")
    begin = time.monotonic()
    second = collectors("second", "--no-page")
    wait_for(lambda: "give each its own --client-id" in first.log.read_text(), "not named")
    wait_for(lambda: "give each its own --client-id" in second.log.read_text(), "not named")
    # they wait 1, 2 and 4 seconds, each a fifth more or less; some brokers name the cause at once
    time.sleep(max(0.0, begin + 5 - time.monotonic()))
    assert subscribed(mosquitto) < 10


def test_each_has_its_sites_and_all_one_store(
    mosquitto: Mosquitto, collectors: Any, url: str
) -> None:
    kept(url, "DELETE FROM windows RETURNING 1")
    shows = collectors("shows", "--no-collect", "--store", url)
    log = mosquitto.folder / "mosquitto.log"
    wait_for(lambda: "/health (QoS 0)" in log.read_text(), "it does not subscribe")
    assert subscribed(mosquitto) == 0, "it only shows"
    assert "(p5, c1," in log.read_text(), "a session would be left behind"
    for sites in (["north", "south"], ["west"]):
        options = [word for site in sites for word in ("--site", site)]
        collectors("-".join(sites), "--store", url, *options)
    wait_for(lambda: subscribed(mosquitto) == 3, "they do not subscribe")
    for n in range(1, 11):
        publish(mosquitto, *(
            window(n, NOW + 60 * n, site=site, device=f"{site}-door")
            for site in ("north", "south", "west", "east")
        ))  # fmt: skip
    query = "SELECT site, COUNT(*) FROM windows WHERE site <> 'store-7' GROUP BY site ORDER BY site"
    wait_for(lambda: kept(url, query) == [("north", 10), ("south", 10), ("west", 10)], "not all")
    assert "as edge-tally-dashboard-north-south (" in log.read_text()
    assert "as edge-tally-dashboard-west (" in log.read_text()
    assert shows.stop() == 0


def test_old_windows_are_deleted_while_it_runs(mosquitto: Mosquitto, collectors: Any) -> None:
    collector = collectors("only", "--no-page")
    wait_for(lambda: subscribed(mosquitto) == 1, "it does not subscribe")
    old = time.time() - 40 * 86400
    publish(mosquitto, *(window(n, old + 60 * n) for n in range(1, 6)))
    wait_for(lambda: rows(collector.file, COUNT) == [(5,)], "not collected")
    assert collector.stop() == 0
    collector.options += ("--keep-windows", "30")
    collector.start()
    wait_for(lambda: rows(collector.file, COUNT) == [(2,)], "they are not deleted")
    assert rows(collector.file, "SELECT SUM(people) FROM hours") == [(30,)]


def openssl(folder: Path, *words: str) -> None:
    subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)


def test_it_logs_in_by_a_certificate(mosquitto: Mosquitto, tmp_path: Path) -> None:
    """As devices of a fleet do: the broker takes the user from its name."""
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2")
    openssl(tmp_path, "req", "-x509", *key, "-subj", "/CN=authority", "-keyout", "ca.key",
            "-out", "ca.crt")  # fmt: skip
    for name, more in (("broker", ("-addext", "subjectAltName=IP:127.0.0.1")), ("dashboard", ())):
        openssl(tmp_path, "req", "-x509", "-CA", "ca.crt", "-CAkey", "ca.key", *key,
                "-subj", f"/CN={name}", *more, "-keyout", f"{name}.key",
                "-out", f"{name}.crt")  # fmt: skip
    secure = free_port()
    mosquitto.rules = (
        f"listener {secure} 127.0.0.1\nrequire_certificate true\nuse_identity_as_username true\n"
        f"cafile {tmp_path}/ca.crt\ncertfile {tmp_path}/broker.crt\nkeyfile {tmp_path}/broker.key\n"
    )
    mosquitto.start()
    files = [f"--broker-{word}={tmp_path}/{file}" for word, file in (
        ("ca", "ca.crt"), ("cert", "dashboard.crt"), ("key", "dashboard.key"))]  # fmt: skip
    unknown = Dashboard(tmp_path, f"mqtts://127.0.0.1:{secure}", ("--no-page", files[0]))
    unknown.start()
    hint = "it may want a certificate, or another one: see --broker-cert"
    wait_for(lambda: hint in unknown.log.read_text(), "it does not say why")
    unknown.stop()
    collector = Dashboard(tmp_path, f"mqtts://127.0.0.1:{secure}", ("--no-page", *files))
    collector.start()
    wait_for(lambda: subscribed(mosquitto) == 1, "it does not log in")
    assert "u'dashboard'" in (mosquitto.folder / "mosquitto.log").read_text()
    assert collector.stop() == 0


def test_a_broker_that_speaks_an_older_mqtt(tmp_path: Path) -> None:
    """NATS speaks 3.1.1 alone, and keeps windows for a client id as well."""
    with demo.broker(tmp_path) as port:
        collector = Dashboard(tmp_path, f"mqtt://127.0.0.1:{port}", ("--no-page",))
        collector.start()
        client = mqtt.Client(CallbackAPIVersion.VERSION2)
        client.connect("127.0.0.1", port)
        client.loop_start()

        def send(*numbers: int) -> None:
            for n in numbers:
                message = window(n, NOW + 60 * n)
                client.publish(message.topic, message.payload, 1).wait_for_publish(20)

        def arrived() -> bool:
            send(1)  # lost until it has subscribed
            return bool(rows(collector.file, COUNT) == [(1,)])

        wait_for(arrived, "nothing collected")
        collector.kill()
        send(*range(2, 30))
        collector.start()
        wait_for(lambda: rows(collector.file, COUNT) == [(29,)], "not what was sent meanwhile")
        assert collector.stop() == 0
        client.disconnect()
        client.loop_stop()
