"""Keeps every window of every device in SQLite, each exactly once.

    python collect.py windows.db mqtt://localhost:1883

`mqtts://user:password@host` is for TLS; SSL_CERT_FILE=broker.crt in the environment names a
certificate of your own. Needs paho-mqtt 2 and SQLite 3.38. While it is stopped, what is published
waits at the broker for the client `edge-tally-collector`.
"""

import contextlib
import sqlite3
import sys
from urllib.parse import unquote, urlsplit

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

TABLE = """
CREATE TABLE IF NOT EXISTS windows (
    site TEXT NOT NULL, device TEXT NOT NULL, epoch TEXT NOT NULL, seq INTEGER NOT NULL,
    started TEXT NOT NULL, ended TEXT NOT NULL, seconds REAL NOT NULL, time_synced INTEGER NOT NULL,
    replayed INTEGER NOT NULL, people INTEGER NOT NULL, female INTEGER, male INTEGER,
    peak INTEGER NOT NULL, present REAL NOT NULL, coverage REAL NOT NULL,
    people_ever INTEGER NOT NULL,
    PRIMARY KEY (device, epoch, seq)
);
CREATE INDEX IF NOT EXISTS windows_ended ON windows (ended);
CREATE TABLE IF NOT EXISTS ages (
    device TEXT NOT NULL, epoch TEXT NOT NULL, seq INTEGER NOT NULL,
    age TEXT NOT NULL, people INTEGER NOT NULL,
    PRIMARY KEY (device, epoch, seq, age)
);
"""
KEEP = """
INSERT INTO windows SELECT
    w ->> 'site', w ->> 'device', w ->> 'epoch', w ->> 'seq',
    w ->> '$.window.start', w ->> '$.window.end', w ->> '$.window.seconds', w ->> 'time_synced',
    w ->> 'replayed', w ->> '$.people.total', w ->> '$.people.female', w ->> '$.people.male',
    w ->> '$.presence.peak', w ->> '$.presence.mean', w ->> 'coverage', w ->> '$.totals.total'
FROM (SELECT ? AS w) WHERE true
ON CONFLICT (device, epoch, seq) DO UPDATE SET replayed = excluded.replayed,
    -- it may come again because the clock was set meanwhile
    started = excluded.started, ended = excluded.ended, time_synced = excluded.time_synced
"""
KEEP_AGES = """
INSERT OR REPLACE INTO ages
SELECT w ->> 'device', w ->> 'epoch', w ->> 'seq', key, value
FROM (SELECT ? AS w), json_each(w, '$.ages')
"""


def collect(file: str, url: str) -> None:
    broker = urlsplit(url)
    db = sqlite3.connect(file, isolation_level=None)  # each window is on disk at once
    db.executescript(f"PRAGMA journal_mode=WAL; {TABLE}")

    def on_connect(
        client: mqtt.Client, _data: object, _flags: object, reason: object, _: object
    ) -> None:
        print(f"{broker.hostname}: {reason}", file=sys.stderr)
        client.subscribe("tally/v1/+/+/window", qos=1)

    def on_connect_fail(_client: mqtt.Client, _data: object) -> None:
        print(f"{broker.hostname}: {sys.exc_info()[1]}; it is tried again", file=sys.stderr)

    def on_message(client: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
        try:
            window = (message.payload.decode(),)
            if not db.execute("SELECT json_valid(?)", window).fetchone()[0]:
                raise ValueError("not JSON")
            for statement in (KEEP, KEEP_AGES):  # killed in between, it gets the window again
                db.execute(statement, window)
        except (ValueError, sqlite3.IntegrityError) as error:
            print(f"{message.topic}: not a window ({error})", file=sys.stderr)
        client.ack(message.mid, message.qos)  # not before it is on disk

    client = mqtt.Client(
        CallbackAPIVersion.VERSION2,
        client_id="edge-tally-collector",
        clean_session=False,
        manual_ack=True,
    )
    client.on_connect, client.on_message = on_connect, on_message
    client.on_connect_fail = on_connect_fail
    if broker.username:
        client.username_pw_set(unquote(broker.username), unquote(broker.password or ""))
    if broker.scheme == "mqtts":
        client.tls_set()
    client.connect_async(
        broker.hostname or "localhost", broker.port or (8883 if broker.scheme == "mqtts" else 1883)
    )
    client.loop_forever(retry_first_connection=True)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    with contextlib.suppress(KeyboardInterrupt):
        collect(*sys.argv[1:])
