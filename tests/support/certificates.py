"""A fleet with its authority, for tests that need certificates or bundles."""

import re
import signal
import ssl
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from edge.delivery.mqtt_broker import tls_context
from edge.enrollment import bundle, identity
from tests.support.broker import Mosquitto, free_port
from tests.support.commands import wait_for
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


@dataclass
class FleetBroker(Mosquitto):
    """A broker with the files of docs/mosquitto that knows a fleet; only paths and ports differ."""

    fleet: MadeFleet = field(kw_only=True)
    address: str = "127.0.0.1"
    password_port: int = field(default_factory=free_port)
    """Where dashboards log in with a password."""

    def start(self) -> None:
        (self.folder / "passwords").touch()
        super().start()

    def configuration(self) -> str:
        shipped = ROOT / "docs" / "mosquitto"
        text = (shipped / "mosquitto.conf").read_text()
        listeners = (shipped / "certificates.conf").read_text()
        text, number = re.subn(r"listener 8883\n(?:\w.*\n)+", lambda _: listeners, text)
        assert number == 1
        paths = {
            "/etc/mosquitto/certs/broker.": f"{self.fleet.folder}/brokers/localhost.",
            "/etc/mosquitto/certs/": f"{self.fleet.folder}/",
            "/etc/mosquitto/passwords": f"{self.folder}/passwords",
            "/etc/mosquitto/acl": f"{shipped}/acl",
            "/var/lib/mosquitto/": f"{self.folder}/",
            "listener 8883": f"listener {self.port} {self.address}",
            "listener 8884": f"listener {free_port()} {self.address}",
            "listener 8885": f"listener {self.password_port} {self.address}",
        }
        for path, own in paths.items():
            text = text.replace(path, own)
        return f"{text}\nlog_type all\n"

    def reload(self) -> None:
        """Let it read its files again, as `systemctl reload mosquitto` does."""
        assert self.process is not None
        log = self.folder / "mosquitto.log"
        reloads = log.read_text().count("Reloading config")
        self.process.send_signal(signal.SIGHUP)
        wait_for(lambda: log.read_text().count("Reloading config") > reloads, "no reload")


def login(path: Path, folder: Path) -> ssl.SSLContext:
    """The login that a bundle gives, without enrollment; its files are written into `folder`."""
    content = bundle.read(path)
    authority, own = folder / "ca.pem", folder / f"{path.stem}.pem"
    authority.write_text(content.authority)
    own.write_text(identity.prove(content, None).pem)
    return tls_context(authority, own, own)
