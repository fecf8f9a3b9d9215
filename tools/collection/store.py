"""Keeps each window once, its JSON included, and its hour's sums in the same transaction."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from edge.delivery.messages import iso
from edge.errors import ConfigError
from tools.collection import hourly, runs
from tools.collection.correction import Matrix, Row
from tools.collection.database import Connection, Database, StoreError
from tools.collection.hourly import HOUR_S, Sums
from tools.collection.published import PublishedWindow, read_window
from tools.collection.runs import Devices, Gap
from tools.collection.schema import TABLES, WINDOW_COLUMNS

LONGEST_S = 2 * 86400
"""No device makes longer windows: window.seconds and privacy.max_hold are at most a day each."""

_UPSERT = (
    f"INSERT INTO windows ({', '.join(WINDOW_COLUMNS)}) "
    f"VALUES ({', '.join('?' * len(WINDOW_COLUMNS))}) ON CONFLICT (device, epoch, seq) DO UPDATE "
    f"SET {', '.join(f'{name} = excluded.{name}' for name in WINDOW_COLUMNS)}"
)
_ADD_HOUR = (
    f"INSERT INTO hours (site, device, hour, model, {', '.join(Sums._fields)}) "
    f"VALUES ({', '.join('?' * (4 + len(Sums._fields)))})"
)
_TOGETHER = ", ".join(f"{'MAX' if name == 'peak' else 'SUM'}({name})" for name in Sums._fields)

Place = tuple[str, str, int]
"""Site, device and start of an hour."""


class DeviceSpan(NamedTuple):
    """What is kept of one device: from when to when, seconds since 1970."""

    site: str
    device: str
    first: int
    last: int


class Store:
    """The database of one dashboard."""

    def __init__(self, database: Database, *, min_people: int = 3, shift: int = 0) -> None:
        """Make what is missing; add the hours up again if they were added up in another way.

        Windows with fewer than `min_people` people add nothing to hours but their number, even if
        the device shows more of them. `shift` is by how much the zone's hours are off whole ones,
        seconds. Raises StoreError, ConfigError if the database is another program's.
        """
        self._database = database
        self._min_people, self._shift = min_people, shift
        if self._has("windows") and not self._has("settings"):
            raise ConfigError(
                f"--store {database}: holds the table of another program; name another one"
            )
        database.create(TABLES)
        with database.reading() as connection:
            settings = dict(connection.execute("SELECT name, value FROM settings").fetchall())
        wanted = {"min_people": min_people, "shift": shift}
        if settings != wanted:
            with database.writing() as connection:
                self._add_up_again(connection)
                for setting in wanted.items():
                    connection.execute(
                        "INSERT INTO settings VALUES (?, ?) "
                        "ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                        setting,
                    )

    def _has(self, table: str) -> bool:
        try:
            with self._database.reading() as connection:
                connection.execute(f"SELECT 1 FROM {table} LIMIT 1")
        except StoreError:  # if there is more to it, what follows says so
            return False
        return True

    @property
    def name(self) -> str:
        """Where it is, without a password."""
        return str(self._database)

    def save(self, messages: Iterable[tuple[PublishedWindow, str]]) -> None:
        """Keep windows with their JSON. Returns once all are on disk. Raises StoreError."""
        with self._database.writing() as connection:
            changed: set[Place] = set()
            for window, message in messages:
                changed |= self._keep(connection, window, message)
            for place in sorted(changed):
                self._add_up(connection, place)

    def _keep(self, connection: Connection, window: PublishedWindow, message: str) -> set[Place]:
        """The hours that it changes; none if a copy with better times is there."""
        row = connection.execute(
            "SELECT message, time_synced FROM windows WHERE device = ? AND epoch = ? AND seq = ?",
            window.key,
        ).fetchone()
        if row and (row[0] == message or row[1] > window.time_synced):
            return set()
        connection.execute(_UPSERT, _columns(window, message))
        if row:
            return self._places(window) | self._places(read_window(row[0]))
        runs.extend(connection, *window.key)
        return self._places(window)

    def _places(self, window: PublishedWindow) -> set[Place]:
        hours = hourly.hours_of(window, self._shift)
        return {(window.site, window.device, hour) for hour in hours}

    def _add_up(self, connection: Connection, place: Place) -> None:
        site, device, hour = place
        rows = connection.execute(
            "SELECT message FROM windows WHERE site = ? AND device = ? "
            "AND ended > ? AND ended <= ? AND started <= ? ORDER BY epoch, seq",
            (site, device, iso(hour), iso(hour + HOUR_S + LONGEST_S), iso(hour + HOUR_S)),
        ).fetchall()
        by_model: dict[str, list[Sums]] = {}
        for (message,) in rows:
            window = read_window(message)
            if hour in hourly.hours_of(window, self._shift):
                added = hourly.part(window, hour, self._shift, self._min_people)
                by_model.setdefault(window.model, []).append(added)
        connection.execute("DELETE FROM hours WHERE site = ? AND device = ? AND hour = ?", place)
        for model, parts in by_model.items():
            connection.execute(_ADD_HOUR, (*place, model, *hourly.add(parts)))

    def _add_up_again(self, connection: Connection) -> None:
        connection.execute("DELETE FROM hours")
        places: set[Place] = set()
        rows = connection.execute("SELECT DISTINCT site, device, started, ended FROM windows")
        for site, device, started, ended in rows:
            first, last = _seconds(started), _seconds(ended)
            hours = hourly.hours_between(first, last, self._shift)
            places |= {(site, device, hour) for hour in hours}
        for place in sorted(places):
            self._add_up(connection, place)

    def save_matrix(self, device: str, model: str, matrix: Matrix | None) -> None:
        """Keep how often a device's model errs now; None if it is not known. Raises StoreError."""
        with self._database.writing() as connection:
            connection.execute(
                "DELETE FROM matrices WHERE device = ? AND model = ?", (device, model)
            )
            if matrix is not None:
                values = (device, *matrix[:4], *matrix.women, *matrix.men)
                connection.execute(
                    f"INSERT INTO matrices VALUES ({', '.join('?' * len(values))})", values
                )

    def devices(self) -> list[DeviceSpan]:
        """All devices that ever counted, by site and name."""
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT DISTINCT site, device FROM hours ORDER BY site, device"
            ).fetchall()
            spans = []
            for place in rows:
                ends = "FROM windows WHERE site = ? AND device = ? ORDER BY ended"
                (first,) = connection.execute(f"SELECT started {ends} LIMIT 1", place).fetchone()
                (last,) = connection.execute(f"SELECT ended {ends} DESC LIMIT 1", place).fetchone()
                spans.append(DeviceSpan(place[0], place[1], _seconds(first), _seconds(last)))
        return spans

    def hours(self, start: int, end: int, devices: Devices) -> dict[int, Sums]:
        """Sums of these devices together for each hour that begins from `start` to before `end`."""
        return dict(self._together("hour", start, end, devices))

    def by_device_and_hour(
        self, start: int, end: int, devices: Devices
    ) -> dict[tuple[str, str, int], Sums]:
        """The same for each device."""
        return dict(self._together("site, device, hour", start, end, devices))

    def by_model(self, start: int, end: int, devices: Devices) -> dict[tuple[str, str], Sums]:
        """Sums of each device and model."""
        return dict(self._together("device, model", start, end, devices))

    def _together(
        self, group: str, start: int, end: int, devices: Devices
    ) -> list[tuple[Any, Sums]]:
        if not devices:
            return []
        named = " OR ".join(["(site = ? AND device = ?)"] * len(devices))
        names = [name for device in devices for name in device]
        with self._database.reading() as connection:
            rows = connection.execute(
                f"SELECT {group}, {_TOGETHER} FROM hours WHERE hour >= ? AND hour < ? "
                f"AND ({named}) GROUP BY {group} ORDER BY {group}",
                (start, end, *names),
            ).fetchall()
        size = len(Sums._fields)
        return [
            (row[0] if len(row) == size + 1 else tuple(row[:-size]), _sums(row[-size:]))
            for row in rows
        ]

    def matrices(self) -> dict[tuple[str, str], Matrix]:
        """The newest matrix of each device and model."""
        with self._database.reading() as connection:
            rows = connection.execute("SELECT * FROM matrices").fetchall()
        return {
            (device, model): Matrix(model, sure, data, split, Row(*calls[:3]), Row(*calls[3:]))
            for device, model, sure, data, split, *calls in rows
        }

    def gaps(self, start: int, end: int, devices: Devices) -> list[Gap]:
        """Windows that never came, between two moments."""
        with self._database.reading() as connection:
            return runs.gaps(connection, iso(start), iso(end), devices)


def _columns(window: PublishedWindow, message: str) -> Sequence[Any]:
    people = window.people
    return (
        window.site, window.device, window.epoch, window.seq, iso(window.started),
        iso(window.ended), window.window.seconds, int(window.time_synced), int(window.replayed),
        people.total, people.female, people.male, window.presence.peak, window.presence.mean,
        window.coverage, window.totals.total, window.model, window.dwell_s.get("mean"),
        (window.attention_s or {}).get("mean"), message,
    )  # fmt: skip


def _sums(row: Sequence[Any]) -> Sums:
    """PostgreSQL sums integers to decimals."""
    kinds = Sums.__annotations__.values()
    return Sums(*(kind(value) for kind, value in zip(kinds, row, strict=True)))


def _seconds(stamp: str) -> int:
    return int(datetime.fromisoformat(stamp).astimezone(UTC).timestamp())
