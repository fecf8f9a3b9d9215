"""Keeps each window once, its JSON included, and its hour's sums in the same transaction."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

from edge.delivery.messages import iso
from edge.errors import ConfigError
from tools.collection import batch, retention, rollup, runs
from tools.collection.connection import Connection, StoreError
from tools.collection.correction import Matrix, Row
from tools.collection.database import Database
from tools.collection.holder import Holder
from tools.collection.hourly import Sums
from tools.collection.published import PublishedWindow
from tools.collection.rollup import Place, Rules
from tools.collection.runs import Devices, Gap
from tools.collection.schema import TABLES

_TOGETHER = ", ".join(f"{'MAX' if name == 'peak' else 'SUM'}({name})" for name in Sums._fields)
_SETTING = (
    "INSERT INTO settings VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value"
)


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
        self._rules = Rules(min_people, shift)
        if self._has("windows") and not self._has("settings"):
            raise ConfigError(
                f"--store {database}: holds the table of another program; name another one"
            )
        database.create(TABLES)
        with database.reading() as connection:
            settings = dict(connection.execute("SELECT name, value FROM settings").fetchall())
            lacks_spans = connection.execute(
                "SELECT 1 FROM hours WHERE NOT EXISTS (SELECT 1 FROM spans) LIMIT 1"
            ).fetchone()
            has_expired = connection.execute("SELECT 1 FROM expired_hours LIMIT 1").fetchone()
        if settings == self._rules._asdict() and not lacks_spans:
            return
        if has_expired and settings != self._rules._asdict():
            raise ConfigError(
                f"--store {database}: windows were deleted (--keep-windows), so their hours cannot "
                f"be added up in another way: keep --min-people {settings.get('min_people')} and "
                "the time zone, or name another store"
            )
        with database.writing() as connection:
            self._add_up_again(connection)
            for setting in self._rules._asdict().items():
                connection.execute(_SETTING, setting)

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
        messages = list(messages)
        with self._database.writing({window.device for window, _ in messages}) as connection:
            batch.keep(connection, messages, self._rules)

    def expire(self, before: float, most: int) -> int:
        """Delete windows that ended `before` this moment, `most` at once; returns how many.

        The sums of their hours stay. Raises StoreError.
        """
        with self._database.writing() as connection:
            return retention.expire(connection, iso(before), most, self._rules)

    def kept_open(self) -> AbstractContextManager[None]:
        """Within it, this thread saves by one connection."""
        return self._database.kept_open()

    def holder(self, name: str) -> Holder:
        """What one program at a time can hold, until it ends."""
        return self._database.holder(name)

    def _add_up_again(self, connection: Connection) -> None:
        connection.execute("DELETE FROM hours")
        devices = connection.execute("SELECT DISTINCT site, device FROM windows").fetchall()
        for site, device in devices:
            times = connection.execute(
                "SELECT started, ended FROM windows WHERE site = ? AND device = ?", (site, device)
            ).fetchall()
            places: set[Place] = set()
            for started, ended in times:
                first, last = batch.seconds(started), batch.seconds(ended)
                places |= self._rules.places(site, device, first, last)
            rollup.add_up(connection, places, self._rules)

    def save_matrix(self, device: str, model: str, matrix: Matrix | None) -> None:
        """Keep how often a device's model errs now; None if it is not known. Raises StoreError."""
        self.save_matrices({(device, model): matrix})

    def save_matrices(self, matrices: Mapping[tuple[str, str], Matrix | None]) -> None:
        """The same of many devices and models. Raises StoreError."""
        with self._database.writing({device for device, _ in matrices}) as connection:
            for (device, model), matrix in matrices.items():
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
                "SELECT site, device, started, ended FROM spans ORDER BY site, device"
            ).fetchall()
        return [
            DeviceSpan(site, device, batch.seconds(started), batch.seconds(ended))
            for site, device, started, ended in rows
        ]

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
        rows = self._grouped(group, _TOGETHER, start, end, devices)
        size = len(Sums._fields)
        return [
            (row[0] if len(row) == size + 1 else tuple(row[:-size]), _sums(row[-size:]))
            for row in rows
        ]

    def people(self, start: int, end: int, devices: Devices) -> dict[int, tuple[int, float]]:
        """People of these devices in each hour, and the seconds that were watched together."""
        rows = self._grouped("hour", "SUM(people), SUM(seen)", start, end, devices)
        return {hour: (int(people), float(seen)) for hour, people, seen in rows}

    def people_by_device(
        self, start: int, end: int, devices: Devices
    ) -> dict[tuple[str, str], int]:
        """All people of each device."""
        rows = self._grouped("site, device", "SUM(people)", start, end, devices)
        return {(site, device): int(people) for site, device, people in rows}

    def _grouped(
        self, group: str, values: str, start: int, end: int, devices: Devices
    ) -> list[tuple[Any, ...]]:
        if not devices:
            return []
        named = ", ".join(["(?, ?)"] * len(devices))
        names = [name for device in devices for name in device]
        with self._database.reading() as connection:
            rows: list[tuple[Any, ...]] = connection.execute(
                f"SELECT {group}, {values} FROM hours WHERE hour >= ? AND hour < ? "
                f"AND (site, device) IN (VALUES {named}) GROUP BY {group} ORDER BY {group}",
                (start, end, *names),
            ).fetchall()
        return rows

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


def _sums(row: Sequence[Any]) -> Sums:
    """PostgreSQL sums integers to decimals."""
    kinds = Sums.__annotations__.values()
    return Sums(*(kind(value) for kind, value in zip(kinds, row, strict=True)))
