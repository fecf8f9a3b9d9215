"""Makes bundles for devices, and certificates with keys for brokers and dashboards."""

from collections.abc import Collection, Iterable
from enum import StrEnum

from cryptography import x509

from edge.enrollment import bundle
from edge.enrollment.bundle import Bundle
from edge.errors import ConfigError
from tools.provisioning.authority import Role, certificate_pem, key_pem, new_key
from tools.provisioning.device_config import Device
from tools.provisioning.fleet import PAIRS, Fleet
from tools.provisioning.registry import Issued

BUNDLES = "bundles"


class Outcome(StrEnum):
    """What became of a device's bundle."""

    NEW = "new"
    CHANGED = "changed"
    THERE = "there"
    AWAY = "away"
    """It is not in its folder any more, or only a renewed certificate is: the device has it."""
    REVOKED = "revoked"


def bundle_file(device: str) -> str:
    """The bundle's path below the fleet's folder."""
    return f"{BUNDLES}/edge-tally-{device}.bundle"


def bundle_text(content: Bundle, device: str) -> str:
    """The file of a bundle, which begins with what it is."""
    secret = "the private key: keep it secret" if content.key else "no private key"
    return content.text(
        f"Edge Tally: the bundle of {device}, with {secret}.",
        "Copy it to the boot partition of the device; systemd/install takes it from there.",
    )


def present_bundle(fleet: Fleet, device: str) -> Bundle | None:
    """The device's bundle, if it is still in its folder. Raises ConfigError if it is damaged."""
    path = fleet.path(bundle_file(device))
    return bundle.read(path) if path.exists() else None


def issue_devices(
    fleet: Fleet, devices: Iterable[Device], days: float, again: Collection[str] = ()
) -> list[tuple[str, Outcome]]:
    """Make the bundles of devices that have none; those named in `again` get a new identity.

    A bundle that is still in its folder follows a changed configuration. Raises ConfigError if a
    name is another role's, EdgeError if a file cannot be written; then nothing is made.
    """
    devices, newest = list(devices), fleet.newest
    require_free(newest, Role.DEVICE, [device.name for device in devices])
    authority = certificate_pem(fleet.certificate)
    outputs: dict[str, str | None] = {}
    issued: list[Issued] = []
    outcomes: list[tuple[str, Outcome]] = []
    for device in devices:
        name = device.name
        if name not in newest or name in again:
            key = new_key()
            signed = fleet.sign(Role.DEVICE, [name], key.public_key(), days, device.site)
            issued.append(signed)
            content = Bundle(signed.pem, authority, key_pem(key), device.config)
            outcome = Outcome.NEW
        else:
            present = present_bundle(fleet, name)
            outcome = _outcome(newest[name], present, device)
            if outcome is not Outcome.CHANGED or present is None:
                outcomes.append((name, outcome))
                continue
            content = Bundle(present.certificate, authority, present.key, device.config)
        outputs[bundle_file(name)] = bundle_text(content, name)
        outcomes.append((name, outcome))
    fleet.commit(outputs, issued)
    return outcomes


def _outcome(newest: Issued, present: Bundle | None, device: Device) -> Outcome:
    if newest.revoked:
        return Outcome.REVOKED
    if present is None or present.key is None:
        return Outcome.AWAY
    return Outcome.THERE if present.config == device.config else Outcome.CHANGED


def issue_pair(fleet: Fleet, role: Role, names: list[str], days: float) -> bool:
    """Make a certificate with its key, unless there is one for these names that is valid.

    Returns whether it was made. Raises ConfigError if the first name is another role's, EdgeError
    if a file cannot be written.
    """
    newest = fleet.newest
    require_free(newest, role, names[:1])
    present = newest.get(names[0])
    if present is not None and present.revoked is None and alternative_names(present.pem) == names:
        return False
    key = new_key()
    signed = fleet.sign(role, names, key.public_key(), days)
    certificate, private = pair_files(role, names[0])
    fleet.commit({certificate: signed.pem, private: key_pem(key)}, [signed])
    return True


def pair_files(role: Role, name: str) -> tuple[str, str]:
    """Paths of certificate and private key below the fleet's folder."""
    stem = f"{PAIRS[role]}/{name.replace(':', '-').replace('*', '_')}"
    return f"{stem}.crt", f"{stem}.key"


def alternative_names(pem: str) -> list[str]:
    """The names and addresses that a certificate is for."""
    certificate = x509.load_pem_x509_certificate(pem.encode())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return [str(name.value) for name in names]


def require_free(newest: dict[str, Issued], role: Role, names: Iterable[str]) -> None:
    """Raises ConfigError if a name, by any case, is that of something else: it is a login."""
    known = {name.lower(): issued for name, issued in newest.items()}
    for name in names:
        other = known.get(name.lower())
        if other is not None and (other.name != name or other.role is not role):
            raise ConfigError(f"{name}: there is a {other.role} by the name {other.name} already")
