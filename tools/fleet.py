"""Give devices their identity and configuration: certificates, and a bundle for each device.

python tools/fleet.py authority --name "Example Shops"
python tools/fleet.py broker broker.example 192.0.2.7
python tools/fleet.py bundles devices.csv --config common.yaml
python tools/fleet.py list --expiring 60
python tools/fleet.py renew --expiring 60
python tools/fleet.py revoke lobby
"""

import argparse
import sys
from collections import Counter
from datetime import UTC, datetime

from edge.errors import ConfigError, EdgeError
from tools.cli.exit import run_command
from tools.provisioning import arguments
from tools.provisioning.authority import Role
from tools.provisioning.device_config import devices, read_common
from tools.provisioning.device_table import read_table
from tools.provisioning.fleet import CERTIFICATE, KEY, REVOKED, authority_name, create, opened
from tools.provisioning.issuing import BUNDLES, Outcome, issue_devices, issue_pair, pair_files
from tools.provisioning.renewal import expiring, renew, revoke

MAX_PASSPHRASE = 1000
"""Longest passphrase, bytes; OpenSSL takes hardly more."""


def passphrase(args: argparse.Namespace) -> bytes | None:
    """The passphrase of the authority's key. Raises ConfigError if its file is unreadable."""
    if args.passphrase_file is None:
        return None
    try:
        text: bytes = args.passphrase_file.read_bytes().rstrip(b"\r\n")
    except OSError as error:
        raise ConfigError(f"--passphrase-file: {error}") from None
    if not 0 < len(text) <= MAX_PASSPHRASE:
        raise ConfigError(
            f"--passphrase-file {args.passphrase_file}: must hold 1 to {MAX_PASSPHRASE} bytes"
        )
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
    listed = "1 device" if len(outcomes) == 1 else f"{len(outcomes)} devices"
    print(f"{bundles} in {args.fleet / BUNDLES}, for {listed}: {words}")


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


COMMANDS = {
    "authority": make_authority, "broker": make_broker, "client": make_client,
    "bundles": make_bundles, "renew": renew_some, "revoke": revoke_some, "list": show,
}  # fmt: skip


def main() -> int:
    args = arguments.parse((__doc__ or "").splitlines()[0])
    try:
        COMMANDS[args.command](args)
    except EdgeError as error:
        print(f"fleet: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    run_command(main)
