"""A fleet with its authority, for tests that need certificates or bundles."""

import ssl
from dataclasses import dataclass
from pathlib import Path

import yaml

from edge.delivery.mqtt_broker import tls_context
from edge.enrollment import bundle, identity
from tests.support.broker import Mosquitto
from tests.support.paths import ROOT
from tools.provisioning.authority import Role
from tools.provisioning.device_config import Device
from tools.provisioning.fleet import create, opened
from tools.provisioning.issuing import bundle_file, issue_devices, issue_pair
from tools.provisioning.renewal import renew, revoke


@dataclass
class MadeFleet:
    """What an operator has made with tools/fleet.py."""

    folder: Path

    def __post_init__(self) -> None:
        create(self.folder, "Test Authority", 30, None)

    def device(self, name: str, *, days: float = 10, **keys: object) -> Path:
        """Make a device whose configuration has these keys, and return its bundle."""
        settings = {
            "device": name,
            "site": "store-7",
            "mqtt": {"host": "localhost", "tls": {"enabled": True}},
        } | keys
        with opened(self.folder, None) as fleet:
            issue_devices(fleet, [Device(name, "store-7", yaml.safe_dump(settings))], days, {name})
        return self.folder / bundle_file(name)

    def renew(self, name: str, *, change_key: bool = False) -> Path:
        """Renew a device's certificate once its first bundle is away, and return its bundle."""
        path = self.folder / bundle_file(name)
        path.unlink(missing_ok=True)
        with opened(self.folder, None) as fleet:
            renew(fleet, [name], 20, change_key=change_key)
        return path

    def revoke(self, name: str, *, older: bool = False) -> int:
        with opened(self.folder, None) as fleet:
            return revoke(fleet, [name], older=older)

    def broker(self, *names: str) -> None:
        """Make `brokers/localhost.crt` and its key."""
        with opened(self.folder, None) as fleet:
            issue_pair(fleet, Role.BROKER, ["localhost", *names], 10)

    def client(self, name: str) -> ssl.SSLContext:
        """The login of a dashboard."""
        with opened(self.folder, None) as fleet:
            issue_pair(fleet, Role.CLIENT, [name], 10)
        certificate, key = (self.folder / "clients" / f"{name}.{end}" for end in ("crt", "key"))
        return tls_context(self.folder / "authority.crt", certificate, key)

    def rules(self) -> str:
        """What a broker's listener needs of the fleet, with the shipped access rules."""
        return (
            f"cafile {self.folder}/authority.crt\n"
            f"crlfile {self.folder}/revoked.crl\n"
            f"certfile {self.folder}/brokers/localhost.crt\n"
            f"keyfile {self.folder}/brokers/localhost.key\n"
            "require_certificate true\nuse_identity_as_username true\n"
            f"acl_file {ROOT}/docs/mosquitto/acl\n"
        )

    def serve(self, mosquitto: Mosquitto) -> None:
        """Start a broker that knows devices by their certificates."""
        mosquitto.rules = self.rules()
        mosquitto.start()


def login(path: Path, folder: Path) -> ssl.SSLContext:
    """The login that a bundle gives, without enrollment; its files are written into `folder`."""
    content = bundle.read(path)
    authority, own = folder / "ca.pem", folder / f"{path.stem}.pem"
    authority.write_text(content.authority)
    own.write_text(identity.prove(content, None).pem)
    return tls_context(authority, own, own)
