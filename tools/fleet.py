"""Give devices their identity and configuration: certificates, and a bundle for each device.

python tools/fleet.py authority --name "Example Shops"
python tools/fleet.py broker broker.example 192.0.2.7
python tools/fleet.py bundles devices.csv --config common.yaml
python tools/fleet.py list --expiring 60
python tools/fleet.py renew --expiring 60
python tools/fleet.py revoke lobby
"""

import argparse
import ipaddress
import re
import sys
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from edge.config_values import NAME
from edge.errors import ConfigError, EdgeError
from tools.cli.exit import run_command
from tools.cli.options import at_least
from tools.provisioning.authority import Role
from tools.provisioning.device_config import devices, read_common
from tools.provisioning.device_table import read_table
from tools.provisioning.fleet import CERTIFICATE, KEY, REVOKED, authority_name, create, opened
from tools.provisioning.issuing import BUNDLES, Outcome, issue_devices, issue_pair, pair_files
from tools.provisioning.renewal import expiring, renew, revoke

FOLDER = Path("fleet")
AUTHORITY_DAYS, DAYS = 7300, 730
"""How long the authority's certificate and the others are valid."""
HOST = r"(\*\.)?[A-Za-z0-9_]([A-Za-z0-9_.-]{0,251}[A-Za-z0-9])?"


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--fleet", type=Path, default=FOLDER, metavar="FOLDER",
        help="holds authority, registry and bundles (%(default)s)")  # fmt: skip
    signing = argparse.ArgumentParser(add_help=False)
    signing.add_argument("--passphrase-file", type=Path, metavar="FILE",
        help="holds the passphrase of the authority's private key alone")  # fmt: skip

    def command(name: str, run: Callable[[argparse.Namespace], None], what: str,
                days: int | None = DAYS) -> argparse.ArgumentParser:  # fmt: skip
        signs = [] if run is show else [signing]
        added = commands.add_parser(name, parents=[common, *signs], help=what, description=what)
        added.set_defaults(run=run)
        if days is not None:
            added.add_argument("--days", type=at_least(1), default=days, metavar="N",
                help="days of validity (%(default)s)")  # fmt: skip
        return added

    authority = command("authority", make_authority, "make the authority that signs certificates",
                        AUTHORITY_DAYS)  # fmt: skip
    authority.add_argument("--name", required=True, type=common_name, help="of the operator")
    broker = command("broker", make_broker, "make a broker's certificate and private key")
    broker.add_argument("names", nargs="+", type=host, metavar="NAME",
        help="each name and address by which devices reach the broker")  # fmt: skip
    client = command("client", make_client, "make a certificate for a dashboard or Home Assistant")
    client.add_argument("name", type=user, help="its user in the access rules, as in `dashboard`")
    bundles = command("bundles", make_bundles, "make a bundle for each device of a table")
    bundles.add_argument("table", type=Path, metavar="CSV",
        help="columns: device, site, and keys of config.yaml, such as camera.rotate")  # fmt: skip
    bundles.add_argument("--config", type=Path, metavar="FILE",
        help="a config.yaml with what all devices have in common")  # fmt: skip
    bundles.add_argument("--again", action="append", default=[], metavar="DEVICE",
        help="a new identity for a device that lost its own; may be repeated")  # fmt: skip
    renewal = command("renew", renew_some, "sign new certificates for the same names")
    add_names(renewal)
    renewal.add_argument("--new-key", action="store_true", help="make new private keys, too")
    revocation = command("revoke", revoke_some, "let names in no more", None)
    revocation.add_argument("names", nargs="+", metavar="NAME")
    revocation.add_argument("--older", action="store_true",
        help="only the certificates that were renewed since")  # fmt: skip
    listing = command("list", show, "list names by the end of their certificates", None)
    listing.add_argument("--expiring", type=at_least(0), metavar="N",
        help="only those that end within N days")  # fmt: skip
    args = parser.parse_args()
    if args.command == "renew" and bool(args.names) == (args.expiring is not None):
        parser.error("renew: name devices, or say --expiring N")
    return args


def add_names(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--expiring", type=at_least(0), metavar="N",
        help="all that end within N days")  # fmt: skip


def common_name(text: str) -> str:
    """An argparse type: a common name."""
    if not (text.strip() and text.isprintable() and len(text) <= 64):
        raise argparse.ArgumentTypeError("must be 1 to 64 printable characters")
    return text


def user(text: str) -> str:
    """An argparse type: a user of the broker."""
    if not re.fullmatch(NAME, text):
        raise argparse.ArgumentTypeError(f"{text}: must be 1 to 64 letters, digits, - and _")
    return text


def host(text: str) -> str:
    """An argparse type: a DNS name or an address."""
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        if re.fullmatch(HOST, text) and ".." not in text:
            return text.lower()
    raise argparse.ArgumentTypeError(
        f"{text}: must be a DNS name or an address, without mqtt:// and port"
    )


def passphrase(args: argparse.Namespace) -> bytes | None:
    """The passphrase of the authority's key. Raises ConfigError if its file is unreadable."""
    if args.passphrase_file is None:
        return None
    try:
        text: bytes = args.passphrase_file.read_bytes().rstrip(b"\r\n")
    except OSError as error:
        raise ConfigError(f"--passphrase-file: {error}") from None
    if not text:
        raise ConfigError(f"--passphrase-file {args.passphrase_file}: is empty")
    return text


def make_authority(args: argparse.Namespace) -> None:
    made = create(args.fleet, args.name, args.days, passphrase(args))
    print(f"authority {args.name}{'' if made else ', which was there already'}")
    print(f"secret    {args.fleet / KEY}{'' if args.passphrase_file else ', without a passphrase'}")
    print(f"brokers   {args.fleet / CERTIFICATE}, {args.fleet / REVOKED}")


def make_broker(args: argparse.Namespace) -> None:
    make_pair(args, Role.BROKER, args.names)


def make_client(args: argparse.Namespace) -> None:
    make_pair(args, Role.CLIENT, [args.name])


def make_pair(args: argparse.Namespace, role: Role, names: list[str]) -> None:
    """Make a certificate with its key for the first of `names`."""
    with opened(args.fleet, passphrase(args)) as fleet:
        made = issue_pair(fleet, role, list(dict.fromkeys(names)), args.days)
    for file in pair_files(role, names[0]):
        print(f"{'new' if made else 'there':<9} {args.fleet / file}")


AWAY = {
    Outcome.AWAY: "the bundle was made and is not here any more",
    Outcome.REVOKED: "is revoked",
}
"""Why a device of the table gets no bundle."""
NAMED = 5
"""Most devices that are named in one line."""


def make_bundles(args: argparse.Namespace) -> None:
    table = devices(args.table, read_table(args.table), read_common(args.config))
    unknown = sorted(set(args.again) - {device.name for device in table})
    if unknown:
        raise ConfigError(f"--again {', '.join(unknown)}: is not in {args.table}")
    with opened(args.fleet, passphrase(args)) as fleet:
        outcomes = issue_devices(fleet, table, args.days, args.again)
    for reason, words in AWAY.items():
        names = [name for name, outcome in outcomes if outcome is reason]
        if names:
            more = " ..." if len(names) > NAMED else ""
            print(f"{', '.join(names[:NAMED])}{more}: {words}; --again DEVICE makes a new identity")
    numbers = Counter(outcome for _, outcome in outcomes)
    present = sum(number for outcome, number in numbers.items() if outcome not in AWAY)
    words = ", ".join(f"{numbers[outcome]} {outcome}" for outcome in Outcome if numbers[outcome])
    bundles = "1 bundle" if present == 1 else f"{present} bundles"
    print(f"{bundles} in {args.fleet / BUNDLES}, for {len(outcomes)} devices: {words}")


def renew_some(args: argparse.Namespace) -> None:
    with opened(args.fleet, passphrase(args)) as fleet:
        names = args.names or [one.name for one in expiring(fleet, args.expiring)]
        files = renew(fleet, dict.fromkeys(names), args.days, change_key=args.new_key)
    for file in files:
        print(f"renewed   {args.fleet / file}")
    if not files:
        print(f"no certificate ends within {args.expiring} days")


def revoke_some(args: argparse.Namespace) -> None:
    with opened(args.fleet, passphrase(args)) as fleet:
        number = revoke(fleet, args.names, older=args.older)
    certificates = "1 certificate" if number == 1 else f"{number} certificates"
    print(f"revoked   {certificates}; brokers need {args.fleet / REVOKED} and a restart")


def show(args: argparse.Namespace) -> None:
    with opened(args.fleet, None) as fleet:
        end = fleet.certificate.not_valid_after_utc
        rows = sorted(fleet.newest.values(), key=lambda one: (one.expires, one.name))
        if args.expiring is not None:
            rows = sorted(expiring(fleet, args.expiring), key=lambda one: one.expires)
        name = authority_name(fleet.certificate)
    now = datetime.now(UTC)
    print(f"{'name':<24} {'what':<9} {'site':<16} {'until':<10}  {'days':>5}")
    if args.expiring is None:
        print(f"{name:<24} {'authority':<9} {'':<16} {end:%Y-%m-%d}  {(end - now).days:>5}")
    for one in rows:
        until = "revoked" if one.revoked else f"{(one.expires - now).days:>5}"
        print(f"{one.name:<24} {one.role:<9} {one.site:<16} {one.expires:%Y-%m-%d}  {until}")


def main() -> int:
    args = parse_arguments()
    try:
        args.run(args)
    except EdgeError as error:
        print(f"fleet: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    run_command(main)
