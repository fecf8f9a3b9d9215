"""Renews and revokes certificates."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from edge.enrollment.bundle import Bundle
from edge.errors import ConfigError
from tools.provisioning.authority import Role, certificate_pem, key_pem, new_key, public_key
from tools.provisioning.fleet import REVOKED, Fleet
from tools.provisioning.issuing import (
    alternative_names,
    bundle_file,
    bundle_text,
    pair_files,
    present_bundle,
)
from tools.provisioning.registry import Issued


def expiring(fleet: Fleet, days: float) -> list[Issued]:
    """The newest certificates that expire within this many days and are not revoked."""
    limit = datetime.now(UTC) + timedelta(days=days)
    newest = fleet.newest.values()
    return [one for one in newest if one.expires <= limit and one.revoked is None]


def renew(fleet: Fleet, names: Iterable[str], days: float, *, change_key: bool) -> list[str]:
    """Sign new certificates, for the same keys or new ones, and return the files.

    What an earlier run had signed, and this one has completed, is not signed again. The bundle of
    a device whose key stays holds no key, unless the device's first bundle is still in its folder.
    Raises ConfigError if a name is unknown or revoked, EdgeError if a file cannot be written.
    """
    newest, authority = fleet.newest, certificate_pem(fleet.certificate)
    outputs: dict[str, str | None] = {}
    issued: list[Issued] = []
    files: list[str] = []
    for name in names:
        old = known(newest, name)
        if old.revoked is not None:
            raise ConfigError(f"{name}: is revoked; `bundles --again {name}` lets it in again")
        certificate, private = (
            (bundle_file(name), None) if old.role is Role.DEVICE else pair_files(old.role, name)
        )
        files.append(certificate)
        if certificate in fleet.completed:
            continue
        key = new_key() if change_key else None
        public = public_key(old.pem) if key is None else key.public_key()
        signed = fleet.sign(old.role, alternative_names(old.pem), public, days, old.site)
        issued.append(signed)
        if private is not None:
            outputs[certificate] = signed.pem
            outputs |= {} if key is None else {private: key_pem(key)}
            continue
        first = present_bundle(fleet, name) or Bundle(old.pem, authority)
        kept = first.key if public_key(first.certificate) == public else None
        content = Bundle(signed.pem, authority, kept if key is None else key_pem(key), first.config)
        outputs[certificate] = bundle_text(content, name)
    fleet.commit(outputs, issued)
    return files


def revoke(fleet: Fleet, names: Iterable[str], *, older: bool) -> int:
    """Revoke all certificates of these names, or all but the newest, and write the list.

    Returns how many were revoked now. Raises ConfigError if a name is unknown or a broker's:
    devices do not ask for the list. Raises EdgeError if a file cannot be written.
    """
    newest, everything = fleet.newest, fleet.issued
    outputs: dict[str, str | None] = {}
    wanted: set[int] = set()
    for name in names:
        if known(newest, name).role is Role.BROKER:
            raise ConfigError(
                f"{name}: is a broker; devices ask for no list: replace the authority instead"
            )
        serials = {one.serial for one in everything if one.name == name}
        wanted |= serials - ({newest[name].serial} if older else set())
        if not older:  # its certificate is of no more use
            outputs[bundle_file(name)] = None
    # a list is newer than another by its last revocation
    times = [one.revoked for one in everything if one.revoked is not None]
    now = max([datetime.now(UTC), *(time + timedelta(seconds=1) for time in times)])
    revoked = {one.serial: now for one in everything if one.serial in wanted and not one.revoked}
    earlier = {one.serial: one.revoked for one in everything if one.revoked is not None}
    outputs[REVOKED] = fleet.authority.revocations((earlier | revoked).items())
    fleet.commit(outputs, revoked=revoked)
    return len(revoked)


def known(newest: dict[str, Issued], name: str) -> Issued:
    """Raises ConfigError if nothing was signed for this name."""
    if name not in newest:
        raise ConfigError(f"{name}: unknown; `fleet.py list` shows all names")
    return newest[name]
