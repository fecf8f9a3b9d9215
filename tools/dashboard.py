"""Collect what devices publish, each window once, and serve a page that shows it live.

python tools/dashboard.py
python tools/dashboard.py --broker mqtts://dashboard@broker.example --store postgresql:///tally
python tools/dashboard.py --listen 0.0.0.0:8330 --password-file password --cert crt --key key
python tools/dashboard.py --store postgresql:///tally --site store-7 --site store-8 --no-page
"""

import argparse
import getpass
import os
import re
import signal
import sys
import threading
import time
import webbrowser
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path
from typing import Any

from edge.credentials import credential
from edge.delivery.mqtt_broker import tls_context
from edge.errors import ConfigError, EdgeError
from edge.host import is_loopback
from tools.cli.exit import run_command
from tools.cli.options import at_least
from tools.collection.broker import Broker
from tools.collection.collector import Collector
from tools.collection.database import Database
from tools.collection.follower import CLIENT_ID, Follower
from tools.collection.holder import FreeHolder
from tools.collection.liveness import LiveDevices
from tools.collection.log import write_line
from tools.collection.published import NAME
from tools.collection.store import Store
from tools.webpage.access import Guard, Password
from tools.webpage.app import Pages, read_page
from tools.webpage.calendar import Calendar, open_zone
from tools.webpage.feed import Feed
from tools.webpage.overview import Overview
from tools.webpage.server import (
    PORT,
    STOP_SIGNALS,
    Address,
    bind,
    check_certificate,
    run_server,
)
from tools.webpage.status import status

CREDENTIALS = {
    "broker_password_file": "broker-password",
    "password_file": "page-password",
    "broker_ca": "broker-ca",
    "broker_cert": "broker-cert",
    "broker_key": "broker-key",
    "cert": "page-cert",
    "key": "page-key",
}
"""Files that systemd may hand over, for options that are not given."""
LEAST_KEPT = 7
"""Days: late windows and corrected times mostly come before that."""


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    add = parser.add_argument
    add("--broker", default="mqtt://localhost:1883", metavar="URL",
        help="mqtt://HOST:PORT, or mqtts://USER@HOST for TLS (%(default)s)")  # fmt: skip
    add("--broker-password-file", type=Path, metavar="FILE", help="holds USER's password alone")
    add("--broker-ca", type=Path, metavar="FILE", help="certificate of the broker's authority")
    add("--broker-cert", type=Path, metavar="FILE", help="log in by a certificate")
    add("--broker-key", type=Path, metavar="FILE", help="its key")
    add(
        "--client-id",
        type=name,
        metavar="NAME",
        help=f"each dashboard of a broker needs its own ({CLIENT_ID}, and its sites)",
    )
    add("--site", type=name, action="append", default=[], metavar="NAME",
        help="collect this site alone; may be repeated (all)")  # fmt: skip
    add("--store", default="tally.db", metavar="FILE|URL",
        help="SQLite file, or postgresql://HOST/NAME (%(default)s)")  # fmt: skip
    add("--keep-windows", type=at_least(LEAST_KEPT), metavar="DAYS",
        help="delete older windows; the sums of their hours stay (for ever)")  # fmt: skip
    add("--no-page", action="store_true", help="only collect")
    add("--no-collect", action="store_true", help="only show what others collect")
    add("--listen", type=Address.parse, default=Address("127.0.0.1", PORT), metavar="HOST:PORT",
        help=f"where to serve the page (127.0.0.1:{PORT}: this machine alone)")  # fmt: skip
    add("--password-file", type=Path, metavar="FILE", help="ask readers for this password")
    add("--set-password", action="store_true", help="write its hash to --password-file, and end")
    add("--behind-proxy", action="store_true",
        help="a proxy in front asks for passwords and passes only its own requests on")  # fmt: skip
    add("--cert", type=Path, metavar="FILE", help="serve by TLS, with --key")
    add("--key", type=Path, metavar="FILE")
    add("--timezone", metavar="ZONE",
        help="of the place, such as Europe/Berlin (default: this machine's)")  # fmt: skip
    add("--min-people", type=at_least(1), default=3, metavar="N",
        help="of windows with fewer people only the number is used (%(default)s)")  # fmt: skip
    add("--notice", default="", metavar="TEXT", help="shown on top of the page")
    add("--open", action="store_true", help="open the page, if there is a screen")
    args = parser.parse_args()
    for option, handed in CREDENTIALS.items():
        if getattr(args, option) is None and not args.set_password:
            setattr(args, option, credential(handed))
    if (args.cert is None) != (args.key is None):
        parser.error("--cert and --key belong together")
    if (args.broker_cert is None) != (args.broker_key is None):
        parser.error("--broker-cert and --broker-key belong together")
    if args.set_password and not args.password_file:
        parser.error("--set-password: name the file to write with --password-file")
    if args.no_page and args.no_collect:
        parser.error("--no-page and --no-collect leave nothing to do")
    if args.keep_windows and args.no_collect:
        parser.error("--keep-windows is for programs that collect, not with --no-collect")
    if args.client_id is None:
        args.client_id = "-".join([CLIENT_ID, *sorted(set(args.site))])
        if not re.fullmatch(NAME, args.client_id):
            parser.error("--site: with so many sites, name the collector with --client-id")
    return args


def name(text: str) -> str:
    """An argparse type: a name that every broker accepts."""
    if not re.fullmatch(NAME, text):
        raise argparse.ArgumentTypeError(f"{text}: must be 1 to 64 letters, digits, - and _")
    return text


def set_password(file: Path) -> None:
    """Ask for a password, twice on a terminal, and write its hash."""
    if sys.stdin.isatty():
        password = getpass.getpass("password for the page: ")
        if getpass.getpass("once more: ") != password:
            raise ConfigError("the passwords differ; nothing was written")
    else:
        password = sys.stdin.readline().rstrip("\n")
    Password.write(file, password)
    print(f"dashboard: {file} holds the password's hash", file=sys.stderr)


def check_access(args: argparse.Namespace) -> Password | None:
    """The password, if there is one. Raises ConfigError if strangers could read the page."""
    if args.password_file:
        password = Password(args.password_file)
    elif is_loopback(args.listen.host) or args.behind_proxy:
        return None
    else:
        raise ConfigError(
            f"--listen {args.listen.host}: other machines can reach this address: ask for a "
            "password (--password-file), or let a proxy do it (--behind-proxy)"
        )
    if not (is_loopback(args.listen.host) or args.cert or args.behind_proxy):
        print(
            "dashboard: WARNING: password and numbers cross the network unencrypted; "
            "--cert and --key change that",
            file=sys.stderr,
        )
    return password


def read_broker(args: argparse.Namespace) -> Broker:
    """Raises ConfigError."""
    broker = Broker.parse(args.broker)
    if args.broker_password_file:
        try:
            password = args.broker_password_file.read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"--broker-password-file: {error}") from None
        broker = broker._replace(password=password)
    if args.broker_ca and not args.broker_ca.is_file():
        raise ConfigError(f"--broker-ca {args.broker_ca}: is not a file")
    if (args.broker_ca or args.broker_cert) and not broker.tls:
        raise ConfigError("--broker: a certificate is for mqtts://, not for mqtt://")
    if broker.password and not (broker.tls or is_loopback(broker.host)):
        print(
            "dashboard: WARNING: the broker's password crosses the network unencrypted; "
            "mqtts:// changes that",
            file=sys.stderr,
        )
    return broker


def run(args: argparse.Namespace) -> None:
    """Collect and serve until SIGTERM, SIGINT or SIGHUP. Raises EdgeError."""
    broker = read_broker(args)
    files = args.broker_ca, args.broker_cert, args.broker_key
    tls = tls_context(*files, option="--broker-{}") if broker.tls else None
    calendar = Calendar(open_zone(args.timezone))
    page = None if args.no_page else Page(args, calendar)
    with closing(page) if page else nullcontext():
        store = Store(Database(args.store), min_people=args.min_people, shift=calendar.shift)
        live = LiveDevices()
        collector = Collector(store, keep_days=args.keep_windows)
        follower = Follower(
            broker, live, collector,
            FreeHolder() if args.no_collect else store.holder(args.client_id),
            client_id=args.client_id, sites=args.site, tls=tls, collects=not args.no_collect,
        )  # fmt: skip
        print(f"store     {store.name}", flush=True)
        with collecting(collector, follower):
            if page is None:
                wait_for_signal()
            else:
                page.serve(store, live, collector, follower)


@contextmanager
def collecting(collector: Collector, follower: Follower) -> Iterator[None]:
    collector.start()
    follower.start()
    try:
        yield
    finally:
        follower.stop()
        collector.stop()
        follower.finish()


def wait_for_signal() -> None:
    stopped = threading.Event()
    for number in STOP_SIGNALS:
        signal.signal(number, lambda *_: stopped.set())
    stopped.wait()


class Page:
    """What readers see; its address is taken before anything else is touched."""

    def __init__(self, args: argparse.Namespace, calendar: Calendar) -> None:
        """Raises ConfigError."""
        self._args, self._calendar = args, calendar
        self._password = check_access(args)
        check_certificate(args.cert, args.key)
        self._listening = bind(args.listen)

    def close(self) -> None:
        self._listening.close()

    def serve(
        self, store: Store, live: LiveDevices, collector: Collector, follower: Follower
    ) -> None:
        """Until a signal ends the program."""
        args = self._args
        feed = Feed(lambda: summary(live, collector, follower, args.notice))
        collector.changed = follower.changed = feed.notify
        text, policy = read_page()
        overview = Overview(store, self._calendar, args.min_people)
        app = Guard(
            Pages(overview, self._calendar, live, feed, text).app(),
            password=self._password, policy=policy,
            own_hosts=is_loopback(args.listen.host) and not args.behind_proxy,
        )  # fmt: skip
        url = args.listen.url("https" if args.cert else "http", self._listening.getsockname()[1])
        write_line(f"page      {url}", sys.stdout)
        if args.open and any(map(os.environ.get, ("DISPLAY", "WAYLAND_DISPLAY"))):
            webbrowser.open(url)
        run_server(app, self._listening, cert=args.cert, key=args.key, stopped=feed.close)


def summary(
    live: LiveDevices, collector: Collector, follower: Follower, notice: str
) -> dict[str, Any]:
    """What an event says."""
    now = time.time()
    return {
        "now": round(now),
        "devices": status(live.snapshot(), now),
        "connected": follower.is_connected,
        "obstacle": follower.obstacle,
        "problem": collector.problem or follower.problem,
        "revision": collector.revision,
        "notice": notice,
    }


def main() -> int:
    args = parse_arguments()
    try:
        if args.set_password:
            set_password(args.password_file)
        else:
            run(args)
    except EdgeError as error:
        print(f"dashboard: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    run_command(main)
