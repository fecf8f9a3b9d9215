"""The command line of tools/fleet.py."""

import argparse
import ipaddress
import re
from pathlib import Path

from edge.config_values import NAME
from tools.cli.options import at_least
from tools.provisioning.authority import MAX_NAME

FOLDER = Path("fleet")
AUTHORITY_DAYS, DAYS = 7300, 730
"""How long the authority's certificate and the others are valid."""
MAX_DAYS = 36500
HOST = r"(\*\.)?[A-Za-z0-9_]([A-Za-z0-9_.-]{0,251}[A-Za-z0-9])?"
"""A DNS name; `*.` stands for any first part."""
HELP = {
    "authority": "make the authority that signs certificates",
    "broker": "make a broker's certificate and private key",
    "client": "make a certificate for a dashboard or Home Assistant",
    "bundles": "make a bundle for each device of a table",
    "renew": "sign new certificates for the same names",
    "revoke": "write the list of certificates that brokers refuse",
    "list": "list names by the end of their certificates",
}


def parse(description: str) -> argparse.Namespace:
    """Read the command line; exits with a message if there is a mistake in it."""
    parser = argparse.ArgumentParser(description=description)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, text in HELP.items():
        command = commands.add_parser(name, help=text, description=text)
        OPTIONS[name](command)
        command.add_argument("--fleet", type=Path, default=FOLDER, metavar="FOLDER",
            help="holds authority, registry and bundles (%(default)s)")  # fmt: skip
        if name != "list":
            command.add_argument("--passphrase-file", type=Path, metavar="FILE",
                help="holds the passphrase of the authority's private key alone")  # fmt: skip
    args = parser.parse_args()
    if args.command == "renew" and bool(args.names) == (args.expiring is not None):
        parser.error("renew: name devices, or say --expiring N")
    return args


def _authority(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--name", required=True, type=common_name, help="of the operator")
    _add_days(parser, AUTHORITY_DAYS)


def _broker(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("names", nargs="+", type=host, metavar="NAME",
        help="each name and address by which devices reach the broker")  # fmt: skip
    _add_days(parser)


def _client(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", type=user, help="its user in the access rules, as in `dashboard`")
    _add_days(parser)


def _bundles(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("table", type=Path, metavar="CSV",
        help="columns: device, site, and keys of config.yaml, such as camera.rotate")  # fmt: skip
    parser.add_argument("--config", type=Path, metavar="FILE",
        help="a config.yaml with what all devices have in common")  # fmt: skip
    parser.add_argument("--again", action="append", default=[], metavar="DEVICE",
        help="a new identity for a device that lost its own; may be repeated")  # fmt: skip
    _add_days(parser)


def _renew(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("names", nargs="*", metavar="NAME")
    _add_expiring(parser, "all that end within N days")
    parser.add_argument("--new-key", action="store_true", help="make new private keys, too")
    _add_days(parser)


def _revoke(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("names", nargs="+", metavar="NAME")
    parser.add_argument("--older", action="store_true",
        help="only certificates that were renewed since")  # fmt: skip


def _list(parser: argparse.ArgumentParser) -> None:
    _add_expiring(parser, "only those that end within N days")


OPTIONS = {
    "authority": _authority, "broker": _broker, "client": _client, "bundles": _bundles,
    "renew": _renew, "revoke": _revoke, "list": _list,
}  # fmt: skip
"""What adds the options of each command."""


def _add_days(parser: argparse.ArgumentParser, default: int = DAYS) -> None:
    parser.add_argument("--days", type=days, default=default, metavar="N",
        help="days of validity (%(default)s)")  # fmt: skip


def _add_expiring(parser: argparse.ArgumentParser, text: str) -> None:
    parser.add_argument("--expiring", type=days, metavar="N", help=text)


def days(text: str) -> int:
    """An argparse type: days of a certificate."""
    number = at_least(1)(text)
    if number > MAX_DAYS:
        raise argparse.ArgumentTypeError(f"{text}: must be {MAX_DAYS} days or less")
    return number


def common_name(text: str) -> str:
    """An argparse type: a common name."""
    if not (text.strip() and text.isprintable() and len(text) <= MAX_NAME):
        raise argparse.ArgumentTypeError(f"must be 1 to {MAX_NAME} printable characters")
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
