"""Keeps every window of every device in SQLite, each exactly once, and how its model errs.

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
    people_ever INTEGER NOT NULL, model TEXT, dwell REAL, attention REAL, message TEXT,
    PRIMARY KEY (device, epoch, seq)
);
CREATE INDEX IF NOT EXISTS windows_ended ON windows (ended);
CREATE TABLE IF NOT EXISTS ages (
    device TEXT NOT NULL, epoch TEXT NOT NULL, seq INTEGER NOT NULL,
    age TEXT NOT NULL, people INTEGER NOT NULL,
    PRIMARY KEY (device, epoch, seq, age)
);
CREATE TABLE IF NOT EXISTS matrices (  -- what the model calls test faces of women and men
    device TEXT NOT NULL, model TEXT NOT NULL, min_confidence REAL NOT NULL,
    data TEXT NOT NULL, split TEXT NOT NULL,
    women_female INTEGER NOT NULL CHECK (women_female >= 0),
    women_male INTEGER NOT NULL CHECK (women_male >= 0),
    women_unknown INTEGER NOT NULL CHECK (women_unknown >= 0),
    men_female INTEGER NOT NULL CHECK (men_female >= 0),
    men_male INTEGER NOT NULL CHECK (men_male >= 0),
    men_unknown INTEGER NOT NULL CHECK (men_unknown >= 0),
    PRIMARY KEY (device, model)
) STRICT;
"""
ADDED = {"model": "TEXT", "dwell": "REAL", "attention": "REAL", "message": "TEXT"}
"""Columns that tables of earlier versions lack, with their types, in the order of `TABLE`."""
KEEP = """
INSERT INTO windows SELECT
    w ->> 'site', w ->> 'device', w ->> 'epoch', w ->> 'seq',
    w ->> '$.window.start', w ->> '$.window.end', w ->> '$.window.seconds', w ->> 'time_synced',
    w ->> 'replayed', w ->> '$.people.total', w ->> '$.people.female', w ->> '$.people.male',
    w ->> '$.presence.peak', w ->> '$.presence.mean', w ->> 'coverage', w ->> '$.totals.total',
    w ->> 'model', w ->> '$.dwell_s.mean', w ->> '$.attention_s.mean', w
FROM (SELECT ? AS w) WHERE true
ON CONFLICT (device, epoch, seq) DO UPDATE SET replayed = excluded.replayed,
    -- it may come again because the clock was set meanwhile
    started = excluded.started, ended = excluded.ended, time_synced = excluded.time_synced,
    message = excluded.message
"""
KEEP_AGES = """
INSERT OR REPLACE INTO ages
SELECT w ->> 'device', w ->> 'epoch', w ->> 'seq', key, value
FROM (SELECT ? AS w), json_each(w, '$.ages')
"""
DROP_MATRIX = """
DELETE FROM matrices
WHERE (device, model) = (SELECT i ->> 'device', i ->> 'model' FROM (SELECT ? AS i))
"""
KEEP_MATRIX = """
INSERT INTO matrices SELECT
    i ->> 'device', i ->> 'model', m ->> 'min_confidence', m ->> 'data', m ->> 'split',
    m ->> '$.female.female', m ->> '$.female.male', m ->> '$.female.unknown',
    m ->> '$.male.female', m ->> '$.male.male', m ->> '$.male.unknown'
FROM (SELECT i, i -> 'confusion' AS m FROM (SELECT ? AS i)) WHERE m IS NOT NULL
"""
STATEMENTS = {"window": (KEEP, KEEP_AGES), "info": (DROP_MATRIX, KEEP_MATRIX)}
"""What to do with a message, by the last level of its topic."""


def collect(file: str, url: str) -> None:
    try:
        broker = urlsplit(url)
        host, port = broker.hostname, broker.port or {"mqtt": 1883, "mqtts": 8883}[broker.scheme]
    except (KeyError, ValueError):
        host, port = None, 0
    if host is None:  # the URL is not repeated: it may hold a password
        sys.exit("the broker must be like mqtt://localhost:1883 or mqtts://user:password@name")
    try:
        db = sqlite3.connect(file, isolation_level=None)  # each window is on disk at once
        db.executescript(f"PRAGMA journal_mode=WAL; {TABLE}")
    except sqlite3.DatabaseError as error:
        sys.exit(f"{file}: cannot be used ({error}); name another file, or a new one")
    columns = [column for _, column, *_ in db.execute("PRAGMA table_info(windows)")]
    for column, kind in ADDED.items():
        if column not in columns:
            db.execute(f"ALTER TABLE windows ADD COLUMN {column} {kind}")

    def on_connect(
        client: mqtt.Client, _data: object, _flags: object, reason: object, _: object
    ) -> None:
        print(f"{broker.hostname}: {reason}", file=sys.stderr)
        client.subscribe([(f"tally/v1/+/+/{kind}", 1) for kind in STATEMENTS])

    def on_connect_fail(_client: mqtt.Client, _data: object) -> None:
        print(f"{broker.hostname}: {sys.exc_info()[1]}; it is tried again", file=sys.stderr)

    def on_message(client: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
        kind = message.topic.rsplit("/", 1)[1]
        try:
            payload = (message.payload.decode(),)
            if not db.execute("SELECT json_valid(?)", payload).fetchone()[0]:
                raise ValueError("not JSON")
            for statement in STATEMENTS[kind]:  # killed in between, it gets the message again
                db.execute(statement, payload)
        except (ValueError, sqlite3.IntegrityError) as error:
            if message.payload or kind == "window":  # an empty info: the device was removed
                print(f"{message.topic}: not a valid {kind} ({error})", file=sys.stderr)
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
    client.connect_async(host, port)
    client.loop_forever(retry_first_connection=True)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    with contextlib.suppress(KeyboardInterrupt):
        collect(*sys.argv[1:])
