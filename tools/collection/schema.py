"""The tables, in words that SQLite and PostgreSQL both understand.

`windows` and `matrices` have the columns of docs/dashboards/collect.py, so that report.py and the
Grafana dashboard read this database too.
"""

from tools.collection.hourly import Sums

_SUMS = ", ".join(
    f"{name} {'BIGINT' if kind is int else 'DOUBLE PRECISION'} NOT NULL"
    for name, kind in Sums.__annotations__.items()
)
HOUR_COLUMNS = f"""
    site TEXT NOT NULL, device TEXT NOT NULL, hour BIGINT NOT NULL, model TEXT NOT NULL,
    {_SUMS}"""
WINDOW_TYPES = """
    site TEXT NOT NULL, device TEXT NOT NULL, epoch TEXT NOT NULL, seq BIGINT NOT NULL,
    started TEXT NOT NULL, ended TEXT NOT NULL, seconds DOUBLE PRECISION NOT NULL,
    time_synced INTEGER NOT NULL, replayed INTEGER NOT NULL, people BIGINT NOT NULL,
    female BIGINT, male BIGINT, peak BIGINT NOT NULL, present DOUBLE PRECISION NOT NULL,
    coverage DOUBLE PRECISION NOT NULL, people_ever BIGINT NOT NULL, model TEXT NOT NULL,
    dwell DOUBLE PRECISION, attention DOUBLE PRECISION, message TEXT NOT NULL"""
TABLES = (
    f"CREATE TABLE IF NOT EXISTS windows ({WINDOW_TYPES}, PRIMARY KEY (device, epoch, seq))",
    "CREATE INDEX IF NOT EXISTS windows_of_device ON windows (site, device, ended, started)",
    "CREATE INDEX IF NOT EXISTS windows_ended ON windows (ended)",
    "CREATE INDEX IF NOT EXISTS windows_of_site ON windows (site, ended)",  # for other programs
    f"CREATE TABLE IF NOT EXISTS hours ({HOUR_COLUMNS}, PRIMARY KEY (site, device, hour, model))",
    "CREATE INDEX IF NOT EXISTS hours_in_order ON hours (hour)",
    # windows of consecutive numbers; what is missing lies between two runs
    """CREATE TABLE IF NOT EXISTS runs (
        device TEXT NOT NULL, epoch TEXT NOT NULL, first BIGINT NOT NULL, last BIGINT NOT NULL,
        PRIMARY KEY (device, epoch, first)
    )""",
    """CREATE TABLE IF NOT EXISTS matrices (
        device TEXT NOT NULL, model TEXT NOT NULL, min_confidence DOUBLE PRECISION NOT NULL,
        data TEXT NOT NULL, split TEXT NOT NULL,
        women_female BIGINT NOT NULL, women_male BIGINT NOT NULL, women_unknown BIGINT NOT NULL,
        men_female BIGINT NOT NULL, men_male BIGINT NOT NULL, men_unknown BIGINT NOT NULL,
        PRIMARY KEY (device, model)
    )""",
    # what windows that were deleted had added to their hours
    f"""CREATE TABLE IF NOT EXISTS expired_hours (
        {HOUR_COLUMNS}, PRIMARY KEY (site, device, hour, model)
    )""",
    # from when to when a device counted
    """CREATE TABLE IF NOT EXISTS spans (
        site TEXT NOT NULL, device TEXT NOT NULL, started TEXT NOT NULL, ended TEXT NOT NULL,
        PRIMARY KEY (site, device)
    )""",
    # how `hours` was added up: min_people and shift
    "CREATE TABLE IF NOT EXISTS settings (name TEXT PRIMARY KEY, value BIGINT NOT NULL)",
)
"""Statements that make what is missing."""
WINDOW_COLUMNS = (
    "site", "device", "epoch", "seq", "started", "ended", "seconds", "time_synced", "replayed",
    "people", "female", "male", "peak", "present", "coverage", "people_ever", "model",
    "dwell", "attention", "message",
)  # fmt: skip
