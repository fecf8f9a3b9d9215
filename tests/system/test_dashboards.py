"""The examples of docs/dashboards.md do what it says of them."""

import argparse
import contextlib
import dataclasses
import json
import random
import re
import shutil
import sqlite3
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
import pytest
import yaml
from paho.mqtt.enums import CallbackAPIVersion

from edge.delivery.messages import Messages, iso, replayed, restamped
from edge.types import AGES, Message, People, Totals
from tests.edge.delivery.test_messages import FEW, WINDOW, window_message
from tests.support import preloaded
from tests.support.broker import Mosquitto, Subscriber
from tests.support.commands import tool, wait_for
from tests.support.paths import CLIP, MODEL, ROOT

DOCS = ROOT / "docs" / "dashboards"
START = datetime(2026, 11, 21, 9, 50, tzinfo=UTC).timestamp()


SQL = re.findall(r"```sql\n(.*?)```", (ROOT / "docs" / "dashboards.md").read_text(), re.DOTALL)


def windows(
    device: str = "lobby", count: int = 20, epoch: str = "6f0c2a7e", ages: bool = False
) -> list[Message]:
    """One window a minute from 09:50 on; each fourth has too few people to be shown by gender."""
    made = Messages(site="store-7", device=device, model="m@12345678", discovery_prefix=None)
    ever = People()
    messages = []
    for seq in range(1, count + 1):
        few = seq % 4 == 0
        people = People(unknown=2) if few else People(female=3, male=2, unknown=1)
        ever += people
        end = START + 60 * seq
        window = dataclasses.replace(
            WINDOW if not few else FEW, start=end - 60, end=end, people=people, presence_peak=seq,
            ages=(0, 0, 1, 0, 4, 0, 0, 0, 1) if ages and not few else None,
        )  # fmt: skip
        totals = Totals(ever, "2026-11-21", ever)
        messages.append(made.window(window, epoch=epoch, seq=seq, totals=totals, time_synced=True))
    return messages


@contextlib.contextmanager
def collector(broker: Mosquitto, file: Path) -> Iterator[subprocess.Popen[str]]:
    with (file.parent / "collector.log").open("a") as log:
        process = subprocess.Popen(
            [sys.executable, DOCS / "collect.py", file, f"mqtt://127.0.0.1:{broker.port}"],
            stderr=log,
            text=True,
        )
    try:
        yield process
        assert process.poll() is None, (file.parent / "collector.log").read_text()
    finally:
        process.kill()  # in the middle of whatever it does
        process.wait()


@pytest.mark.parametrize(
    ("file", "url", "words"),
    [
        ("windows.db", "localhost", "the broker must be like mqtt://localhost:1883"),
        ("windows.db", "http://broker", "must be like mqtt://localhost:1883"),
        ("windows.db", "mqtt://user:secret@broker:99999", "must be like mqtt://localhost:1883"),
        ("missing/windows.db", "mqtt://localhost", "cannot be used (unable to open database file)"),
        ("windows.db", "mqtt://", "must be like mqtt://localhost:1883"),
        ("text", "mqtt://localhost", "text: cannot be used (file is not a database)"),
    ],
)
def test_the_collector_names_mistakes(tmp_path: Path, file: str, url: str, words: str) -> None:
    (tmp_path / "text").write_text("no database" * 99)
    run = subprocess.run(
        [sys.executable, DOCS / "collect.py", file, url],
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert run.returncode == 1
    assert words in run.stderr
    assert "Traceback" not in run.stderr
    assert "secret" not in run.stderr


def publish(broker: Mosquitto, messages: list[Message]) -> None:
    client = mqtt.Client(CallbackAPIVersion.VERSION2)
    client.max_inflight_messages_set(1)  # or the broker might get them in another order
    client.connect("127.0.0.1", broker.port)
    client.loop_start()
    sent = [client.publish(m.topic, m.payload, 1) for m in messages]
    for info in sent:
        info.wait_for_publish(20)
    client.disconnect()
    client.loop_stop()


def rows(file: Path, query: str = "SELECT device, epoch, seq FROM windows") -> list[Any]:
    with contextlib.closing(sqlite3.connect(file)) as db:
        return db.execute(query).fetchall()


@pytest.fixture
def known(mosquitto: Mosquitto, tmp_path: Path) -> Path:
    """The collector's database; the broker is up and keeps windows for the collector."""
    mosquitto.start()
    file = tmp_path / "windows.db"
    first = windows(count=1)
    with collector(mosquitto, file):

        def arrived() -> bool:
            publish(mosquitto, first)  # lost until it has subscribed
            return len(rows(file)) == 1

        wait_for(file.exists, "no database")
        wait_for(lambda: rows(file, "SELECT 1 FROM sqlite_master"), "no table")
        wait_for(arrived, "nothing collected")
    return file


def test_each_window_is_there_once(mosquitto: Mosquitto, known: Path) -> None:
    lobby, door = windows(), windows("door")
    anew = windows(count=3, epoch="00000001")
    late = [replayed(message) for message in lobby[4:12]]
    nonsense = [
        Message(lobby[0].topic, payload)
        for payload in (
            "", "{", "[]", "7", '{"device": "lobby"}', "\x00\xff", '{"seq": NaN}', "\ufeff{}",
            "[" * 9999 + "]" * 9999,
        )
    ]  # fmt: skip
    sent = [*lobby[12:], *nonsense, *late, *lobby[4:6], *late[::-1], *door, *door[::-1], *anew]
    publish(mosquitto, sent)  # while the collector is away
    mosquitto.stop()
    mosquitto.start()
    with collector(mosquitto, known):
        expected = {("lobby", "6f0c2a7e", seq) for seq in (1, *range(5, 21))}
        expected |= {("door", "6f0c2a7e", seq) for seq in range(1, 21)}
        expected |= {("lobby", "00000001", seq) for seq in (1, 2, 3)}
        wait_for(lambda: set(rows(known)) >= expected, "not all collected")
        publish(mosquitto, lobby[1:4])
        wait_for(lambda: len(rows(known)) == len(expected) + 3, "the gap is not filled")
        # asked now: what is not acknowledged when the broker goes comes twice
        log = (known.parent / "collector.log").read_text()
        assert log.count("not a valid window") == len(nonsense)
        mosquitto.stop()  # and the broker goes away and comes back
        mosquitto.start()
        publish(mosquitto, windows(count=21)[-1:])
        wait_for(lambda: len(rows(known)) == len(expected) + 4, "does not come back")
    found = rows(known)
    assert len(found) == len(set(found))
    totals = "SELECT sum(people), max(people_ever) FROM windows WHERE device = 'door'"
    assert rows(known, totals) == [(100, 100)]
    kept = "SELECT * FROM windows WHERE epoch = '6f0c2a7e' AND device = 'lobby' AND seq IN (12, 13)"
    assert rows(known, f"{kept} ORDER BY seq") == [
        ("store-7", "lobby", "6f0c2a7e", 12, iso(START + 660), iso(START + 720), 60.0, 1, 1, 2,
         None, None, 12, 0.83, 0.998, 60, "m@12345678", None, None, replayed(lobby[11]).payload),
        ("store-7", "lobby", "6f0c2a7e", 13, iso(START + 720), iso(START + 780), 60.0, 1, 0, 6,
         3, 2, 13, 0.83, 0.998, 66, "m@12345678", 6.2, 4.1, lobby[12].payload),
    ]  # fmt: skip


def test_the_newest_copy_of_a_window_has_the_right_times(mosquitto: Mosquitto, known: Path) -> None:
    def unset(payload: str) -> str:  # as a clock stamps that is a year behind
        early = restamped(payload, -365 * 86_400)
        return early.replace('"time_synced":true', '"time_synced":false')

    right = windows(count=3)
    wrong = [dataclasses.replace(message, payload=unset(message.payload)) for message in right]
    shown = "SELECT seq, started, ended, time_synced FROM windows ORDER BY seq"
    with collector(mosquitto, known):
        publish(mosquitto, wrong)
        wait_for(lambda: [row[3] for row in rows(known, shown)] == [0, 0, 0], "not collected")
        publish(mosquitto, right)
        wait_for(lambda: [row[3] for row in rows(known, shown)] == [1, 1, 1], "stays as it was")
    assert rows(known, shown) == [
        (seq, iso(START + 60 * seq - 60), iso(START + 60 * seq), 1) for seq in (1, 2, 3)
    ]


def test_a_collector_that_is_killed_loses_nothing(mosquitto: Mosquitto, known: Path) -> None:
    messages = windows(count=80)
    publish(mosquitto, messages)
    kills = 0
    chance = random.Random(1)
    while len(rows(known)) < len(messages):
        before = len(rows(known))
        with collector(mosquitto, known):
            wait_for(lambda: len(rows(known)) > before, "nothing more is collected")  # noqa: B023  # asked at once
            time.sleep(chance.uniform(0, 0.01))
        kills += 1
    assert kills > 1, "it was never killed in the middle"
    assert [seq for *_, seq in rows(known)] == list(range(1, len(messages) + 1))


def expanded(query: str, devices: tuple[str, ...], start: float, end: float) -> str:
    """A query as Grafana sends it to the database."""
    values = {
        "${__from:date:iso}": iso(start).replace("Z", ".000Z"),
        "${__to:date:iso}": iso(end).replace("Z", ".000Z"),
        "${device:sqlstring}": ",".join(f"'{device}'" for device in devices),
    }
    for name, value in values.items():
        query = query.replace(name, value)
    assert "$" not in query, "only these variables are known"
    return query


def test_what_grafana_shows(mosquitto: Mosquitto, known: Path) -> None:
    dashboard = json.loads((DOCS / "grafana.json").read_text())
    panels = {panel["title"]: panel for panel in dashboard["panels"]}
    sent = [*windows()[:6], *(replayed(message) for message in windows()[9:]), *windows("door")]
    publish(mosquitto, sent + sent)
    with collector(mosquitto, known):
        wait_for(lambda: len(rows(known)) == 17 + 20, "not all collected")

    def shown(title: str, devices: tuple[str, ...] = ("lobby", "door"), minutes: int = 20) -> Any:
        (target,) = panels[title]["targets"]
        assert target["queryText"] == target["rawQueryText"]
        end = START + 60 * minutes + 1
        return rows(known, expanded(target["queryText"], devices, START, end))

    (variable,) = [v for v in dashboard["templating"]["list"] if v["name"] == "device"]
    assert rows(known, variable["query"]) == [("door",), ("lobby",)]
    assert shown("People") == [(86 + 100,)]
    assert shown("People", ("lobby",)) == [(86,)]
    assert shown("People", ("door",), minutes=3) == [(18,)]
    # of 17 windows of the lobby 4 have two people of whom nothing is told
    assert shown("Estimated from appearance", ("lobby",)) == [(39, 26, 21)]
    ten = int(START + 600)
    # the window that ends at 10:00 belongs to the hour before
    assert shown("People per hour") == [
        (ten - 3600, "door", 52),
        (ten - 3600, "lobby", 38),
        (ten, "door", 48),
        (ten, "lobby", 48),
    ]
    assert shown("Most people at the same time, per hour", ("door",)) == [
        (ten - 3600, "door", 10), (ten, "door", 20),
    ]  # fmt: skip
    newest = iso(START + 1200)
    assert shown("Devices") == [
        ("door", newest, 20, 0, pytest.approx(0.998)),
        ("lobby", newest, 17, 11, pytest.approx(0.998)),
    ]
    gap = [("lobby", iso(START + 360), iso(START + 600), 3, 14)]
    assert shown("Missing windows") == gap
    assert shown("People", ("nobody",)) == [(None,)]
    hourly = shown("Time in view and attention, mean per hour")
    assert hourly == [(hour, pytest.approx(6.2), pytest.approx(4.1)) for hour in (ten - 3600, ten)]
    # of 17 + 20 windows 4 + 5 have too few people
    assert shown("People by time in view and by attention") == [
        ("0-5", 28 * 3, 28 * 4), ("5-15", 28 * 2, 28 * 3), ("15-30", 28 * 2, 0),
        ("30-60", 0, 0), ("60+", 0, 0),
    ]  # fmt: skip
    assert len(panels) == 8
    # and the query that the text shows
    (missing, by_age) = SQL
    assert rows(known, missing) == [("lobby", "6f0c2a7e", 7, 9, 14)]
    assert rows(known, by_age) == []


def test_ages_are_there_once(mosquitto: Mosquitto, known: Path) -> None:
    aged = windows(count=8, ages=True)
    first, odd = json.loads(aged[0].payload), [7, {"0-3": None}, []]
    nonsense = [Message(aged[0].topic, json.dumps(first | {"ages": ages})) for ages in odd]
    with contextlib.closing(sqlite3.connect(known)) as db:  # as an older collector left it
        db.execute("DROP TABLE ages")
    publish(mosquitto, [*nonsense, *aged, *map(replayed, aged[::-1]), *windows("door")])
    with collector(mosquitto, known):
        wait_for(lambda: len(rows(known)) == 8 + 20, "not all collected")
    # each fourth window has too few people
    found = rows(known, "SELECT seq, count(*), sum(people) FROM ages GROUP BY seq")
    assert found == [(seq, 9, 6) for seq in (1, 2, 3, 5, 6, 7)]
    day = "2026-11-21"
    assert rows(known, SQL[1]) == [
        (day, "0-3", 0), (day, "4-7", 0), (day, "8-13", 6), (day, "14-20", 0), (day, "21-35", 24),
        (day, "36-45", 0), (day, "46-56", 0), (day, "57+", 0), (day, "unknown", 6),
    ]  # fmt: skip


def test_telegraf_finds_what_it_looks_for() -> None:
    """Telegraf itself does not run here."""
    settings = tomllib.loads((DOCS / "telegraf.conf").read_text())
    source, raw = settings["inputs"]["mqtt_consumer"]
    for consumer in (source, raw):
        assert (consumer["qos"], consumer["persistent_session"]) == (1, True)
        assert consumer["topics"] == ["tally/v1/+/+/window"]
    assert source["client_id"] != raw["client_id"]
    (parser,) = source["json_v2"]
    old = window_message()
    payload = json.loads(old.payload)
    del payload["attention_s"]  # from before it was measured
    old = dataclasses.replace(old, payload=json.dumps(payload))
    names = [field.get("rename", field["path"].split(".")[-1]) for field in parser["field"]]
    assert len(set(names)) == len(names)
    assert {"dwell", "attention", "dwell_60", "attention_0_5"} <= set(names)
    for window in (window_message(), window_message(FEW), old):

        def value(path: str, window: Message = window) -> Any:
            found = json.loads(window.payload)
            for key in path.split("."):
                found = found[key]
            return found

        for tag in parser["tag"]:
            assert isinstance(value(tag["path"]), str)
        for field in parser["field"]:
            try:
                number = value(field["path"])
            except KeyError:
                assert field["optional"], field["path"]
                continue
            if number is None:  # Telegraf leaves it out
                assert field["path"] in ("dwell_s.mean", "attention_s.mean")
                continue
            # InfluxDB refuses a field that changes its type
            assert isinstance(number, int if field["type"] == "int" else float), field["path"]
        assert re.fullmatch(r"\d{4}(-\d\d){2}T(\d\d:){2}\d\dZ", value(parser["timestamp_path"]))
    assert parser["timestamp_format"] == "2006-01-02T15:04:05Z"


@dataclasses.dataclass
class Metric:
    """A point, as Telegraf gives it to a processor."""

    fields: dict[str, Any]
    tags: dict[str, str] = dataclasses.field(default_factory=dict)
    time: int = 0


def test_telegraf_gives_a_whole_message_the_tags_and_time_of_its_columns() -> None:
    """Its processors are written in Starlark, a part of Python but for `load`."""
    settings = tomllib.loads((DOCS / "telegraf.conf").read_text())
    columns, raw = settings["inputs"]["mqtt_consumer"]
    (parser,) = columns["json_v2"]
    message = window_message()
    window = json.loads(message.payload)

    def parse_time(text: str, **options: str) -> Any:
        assert options == {"format": parser["timestamp_format"]}
        return argparse.Namespace(unix_nano=nanoseconds(text))

    def nanoseconds(text: str) -> int:
        return int(datetime.fromisoformat(text).timestamp()) * 10**9

    known = {
        "json": argparse.Namespace(decode=json.loads),
        "time": argparse.Namespace(parse_time=parse_time),
    }
    end = nanoseconds(window["window"]["end"])
    points = {
        parser["measurement_name"]: Metric({"seq": window["seq"]}, time=end),
        raw["name_override"]: Metric({"value": message.payload}),
    }
    for processor in settings["processors"]["starlark"]:
        (name,) = processor["namepass"]
        source = re.sub(r"^load\(.*\)$", "", processor["source"], flags=re.MULTILINE)
        functions: dict[str, Any] = dict(known)
        exec(source, functions)
        assert functions["apply"](points[name]) is points[name]
    assert {point.time for point in points.values()} == {end + window["seq"]}
    tags = {tag["path"]: window[tag["path"]] for tag in parser["tag"]}
    assert points[raw["name_override"]].tags == tags


def test_files_named_exist() -> None:
    text = (ROOT / "docs" / "dashboards.md").read_text()
    for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
        assert (ROOT / "docs" / link).exists(), link


def test_node_reds_flow_is_whole() -> None:
    nodes = {node["id"]: node for node in json.loads((DOCS / "node-red.json").read_text())}
    for node in nodes.values():
        for output in node.get("wires", []):
            assert set(output) <= set(nodes)
        assert node.get("z", "tally-flow") == "tally-flow"
    broker = nodes[nodes["tally-in"]["broker"]]
    assert (broker["cleansession"], broker["autoUnsubscribe"]) == (False, False)
    assert (nodes["tally-in"]["topic"], nodes["tally-in"]["qos"]) == ("tally/v1/+/+/window", "1")


def test_node_reds_row_has_all_figures() -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("Node.js, which runs Node-RED's functions, is not part of the project")
    nodes = {node["id"]: node for node in json.loads((DOCS / "node-red.json").read_text())}
    assert "tally-row" in nodes["tally-once"]["wires"][0]
    few = window_message(FEW)
    payloads = [json.loads(window_message().payload), json.loads(few.payload)]
    script = f"""
        const row = new Function("msg", {json.dumps(nodes["tally-row"]["func"])});
        for (const payload of {json.dumps(payloads)})
            console.log(JSON.stringify(row({{payload}}).payload));
    """
    run = subprocess.run([node, "-e", script], capture_output=True, text=True, check=True)
    first, second = map(json.loads, run.stdout.splitlines())
    assert json.loads(first.pop("message")) == payloads[0]
    assert first == {
        "time": "2026-11-21T10:01:00Z", "seconds": 60, "site": "store-7", "device": "lobby",
        "epoch": "6f0c2a7e", "seq": 1042, "people": 7, "female": 3, "male": 3, "dwell": 6.2,
        "attention": 4.1, "peak": 3, "present": 0.83, "coverage": 0.998,
    }  # fmt: skip
    assert [second[key] for key in ("people", "female", "dwell", "attention")] == [2, *[None] * 3]


def entity_ids(device: str) -> set[str]:
    """As Home Assistant makes them of the names of device and entity."""
    made = Messages(
        site="store-7", device=device, model="m@12345678", discovery_prefix="homeassistant",
        ages=True, presence=True, pause=True,
    )  # fmt: skip
    (message,) = made.discovery("1")
    return {
        f"{entity['platform']}.{re.sub('[^a-z0-9]+', '_', f'{device} {name}'.lower()).strip('_')}"
        for entity in json.loads(message.payload)["components"].values()
        for name in [entity["name"]]
    }


def test_home_assistants_dashboard_shows_entities_that_are_there() -> None:
    """What a real one does with it: tests/system/check_homeassistant.py."""
    dashboard = yaml.safe_load((DOCS / "homeassistant" / "dashboard.yaml").read_text())
    cards = [card for view in dashboard["views"] for card in view["cards"]]
    shown = {
        entity if isinstance(entity, str) else entity["entity"]
        for card in cards
        for entity in card["entities"]
    }
    assert shown <= entity_ids("lobby")
    ages = [entity for entity in shown if "in_all_age" in entity]
    assert len(ages) == len(AGES)


class BlueprintLoader(yaml.SafeLoader):
    """Reads YAML with `!input NAME`, as `("input", NAME)`."""


BlueprintLoader.add_constructor("!input", lambda _loader, node: ("input", node.value))


@pytest.mark.parametrize("name", ["camera-lost", "many-people"])
def test_home_assistants_blueprints_are_whole(name: str) -> None:
    text = (DOCS / "homeassistant" / f"{name}.yaml").read_text()
    blueprint = yaml.load(text, BlueprintLoader)
    assert blueprint["blueprint"]["domain"] == "automation"
    assert set(re.findall(r"!input (\w+)", text)) == blueprint["blueprint"]["input"].keys()
    assert {"triggers", "actions"} <= blueprint.keys()


MEASURED = {"data": "faces.zip", "split": "test", "min_age": 12, "min_confidence": 0.6}
MEASURED |= {"female": {"female": 90, "male": 5, "unknown": 5}}
MEASURED |= {"male": {"female": 4, "male": 93, "unknown": 3}}


def info(device: str = "lobby", model: str = "m@12345678", **keys: Any) -> Message:
    made = Messages(site="store-7", device=device, model=model, discovery_prefix=None)
    return made.info({"model": model} | keys)


def test_the_newest_matrix_of_each_device_and_model(mosquitto: Mosquitto, known: Path) -> None:
    women = {"female": 80, "male": 15, "unknown": 5}
    broken = [
        MEASURED | {"female": women | {"male": -1}},
        MEASURED | {"female": women | {"male": "many"}},
        MEASURED | {"male": None},
        [7],
    ]
    sent = [
        info(confusion=MEASURED),
        info(confusion=MEASURED | {"female": women}),
        info("door", confusion=MEASURED),
        info("door", model="n@12345678", confusion=MEASURED | {"min_confidence": 0.8}),
        info("gate", confusion=MEASURED),
        info("gate"),  # its certainty was changed
        info("gone", confusion=MEASURED),
        dataclasses.replace(info("gone"), payload=""),  # it was removed; its windows stay
        *(info("odd", confusion=confusion) for confusion in broken),
    ]
    publish(mosquitto, [*sent, windows(count=2)[-1]])
    with collector(mosquitto, known):
        wait_for(lambda: len(rows(known)) == 2, "not all collected")
    found = rows(known, "SELECT * FROM matrices ORDER BY device, model")
    usual = ("faces.zip", "test", 90, 5, 5, 4, 93, 3)
    assert found == [
        ("door", "m@12345678", 0.6, *usual),
        ("door", "n@12345678", 0.8, *usual),
        ("gone", "m@12345678", 0.6, *usual),
        ("lobby", "m@12345678", 0.6, "faces.zip", "test", 80, 15, 5, 4, 93, 3),
    ]
    log = (known.parent / "collector.log").read_text()
    assert log.count("not a valid info") == len(broken)
    assert "not a valid window" not in log


def test_a_database_from_before_matrices_were_kept(mosquitto: Mosquitto, known: Path) -> None:
    with contextlib.closing(sqlite3.connect(known)) as db:
        db.execute("DROP TABLE matrices")
        for column in ("message", "attention", "dwell", "model"):
            db.execute(f"ALTER TABLE windows DROP COLUMN {column}")
    publish(mosquitto, [*windows(count=3), info(confusion=MEASURED)])
    with collector(mosquitto, known):
        wait_for(lambda: len(rows(known)) == 3, "not all collected")
        wait_for(lambda: rows(known, "SELECT device FROM matrices"), "no matrix")
    assert rows(known, "SELECT seq, model, dwell, attention FROM windows ORDER BY seq") == [
        (1, None, None, None), (2, "m@12345678", 6.2, 4.1), (3, "m@12345678", 6.2, 4.1),
    ]  # fmt: skip


def test_from_measured_errors_to_corrected_totals(
    mosquitto: Mosquitto,
    known: Path,
    few_faces: Path,
    configure: Callable[..., Path],
    subscribe: Callable[..., Subscriber],
    tmp_path: Path,
) -> None:
    """Model, daemon, broker, collector, report."""
    model = Path(shutil.copy(MODEL, tmp_path))
    shutil.copy(MODEL.with_suffix(".json"), tmp_path)
    run = tool("evaluate", model, "--data", few_faces, "--split", "all", "--record")
    assert run.returncode == 0, run.stderr
    dashboard = subscribe(mosquitto.port, "tally/v1/test/#")

    def count(min_confidence: float) -> dict[str, Any]:
        keys = {"model": str(model), "min_confidence": min_confidence}
        mqtt = {"host": "127.0.0.1", "port": mosquitto.port}
        config = configure(classifier=keys, mqtt=mqtt, privacy={"min_people": 1})
        args = ["--config", str(config), "--source", str(CLIP)]
        command = [sys.executable, "-m", "edge", "run", *args]
        preloaded.run(command, cwd=ROOT, check=True, capture_output=True)
        late = subscribe(mosquitto.port, "tally/v1/test/cam-1/info", client_id="late")
        wait_for(lambda: late.payloads("info"), "info is not retained")
        return dict(json.loads(late.payloads("info")[-1]))

    def report() -> list[str]:
        command = [sys.executable, str(DOCS / "report.py"), str(known), "--device", "cam-1"]
        run = subprocess.run(command, capture_output=True, text=True, check=True)
        return run.stdout.splitlines()

    with collector(mosquitto, known):
        confusion = count(0.6)["confusion"]
        assert (confusion["data"], confusion["min_confidence"]) == ("faces", 0.6)
        assert sum(confusion["female"].values()) == sum(confusion["male"].values()) == 80
        wait_for(lambda: rows(known, "SELECT * FROM matrices"), "no matrix")
        wait_for(lambda: len(rows(known)) == 2, "no window")
        with contextlib.closing(sqlite3.connect(known, timeout=30)) as db, db:  # a long day
            db.execute("UPDATE windows SET people = 1000 * people, female = 1000 * female,"
                       " male = 1000 * male WHERE device = 'cam-1'")  # fmt: skip
        shown = report()
        assert shown[1:3] == ["  people     2000", "  called     women 1000, men 1000, unknown 0"]
        assert re.fullmatch(r"  estimated  women \d+ \(\d+ to \d+\), men \d+ \(.*\)", shown[3])
        assert shown[5].endswith(" at min_confidence 0.6: 160 faces of faces, split all")
        assert "confusion" not in count(0.62)
        wait_for(lambda: not rows(known, "SELECT * FROM matrices"), "the matrix stays")
    assert any("no matrix of" in line for line in report())
    wait_for(lambda: len(dashboard.payloads("info")) == 2, "not all published")
