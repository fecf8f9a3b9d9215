"""The example inventory and the role's templates, as Ansible would fill them in.

That the role works is tried by tests/system/rollout.py, which needs Ansible.
"""

from functools import reduce
from pathlib import Path
from typing import Any

import jinja2
import pytest
import yaml

from edge.config import load_config
from tests.support.paths import ROOT

ANSIBLE = ROOT / "docs" / "fleet" / "ansible"
ROLE = ANSIBLE / "roles" / "edge_tally"


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def combine(first: dict[str, Any], *others: dict[str, Any], recursive: bool) -> dict[str, Any]:
    """Ansible's filter."""
    assert recursive

    def merged(low: Any, high: Any) -> Any:
        if not (isinstance(low, dict) and isinstance(high, dict)):
            return high
        return low | {key: merged(low.get(key), value) for key, value in high.items()}

    result: dict[str, Any] = reduce(merged, others, first)
    return result


def hosts() -> dict[str, dict[str, Any]]:
    """The variables of each device in the example."""
    shared = load(ROLE / "defaults" / "main.yaml") | load(ANSIBLE / "group_vars" / "fleet.yaml")
    groups = load(ANSIBLE / "inventory.yaml")["fleet"]["children"]
    found = {}
    for group, members in groups.items():
        file = ANSIBLE / "group_vars" / f"{group}.yaml"
        for host, own in members["hosts"].items():
            found[host] = shared | (load(file) if file.exists() else {}) | own
    return found


def filled(template: str, variables: dict[str, Any]) -> str:
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined)
    environment.filters |= {"combine": combine, "to_nice_yaml": yaml.safe_dump}
    text = (ROLE / "templates" / template).read_text(encoding="utf-8")
    return environment.from_string(text).render(variables)


@pytest.mark.parametrize("host", hosts())
def test_each_device_has_a_valid_configuration(host: str, tmp_path: Path) -> None:
    variables = hosts()[host]
    path = tmp_path / "config.yaml"
    path.write_text(filled("config.yaml.j2", variables))
    config = load_config(path)
    own = variables["edge_tally_device"]
    assert (config.site, config.device) == (own["site"], own["device"])
    assert config.mqtt.host == "broker.example"
    assert (config.zones.region is None) == ("zones" not in own)


def test_canaries_update_first_and_from_a_suite_of_their_own() -> None:
    facts = {"ansible_facts": {"distribution_release": "bookworm"}}
    suites = {
        host: filled("edge-tally.sources.j2", variables | facts).splitlines()[2]
        for host, variables in hosts().items()
    }
    assert suites.pop("store-7-door") == "Suites: canary"
    assert set(suites.values()) == {"Suites: stable"}
    first, *others = load(ANSIBLE / "update.yaml")
    assert first["hosts"] == "canary"
    assert all(play["max_fail_percentage"] == 0 for play in (first, *others))


def test_the_release_comes_before_the_configuration_that_may_need_it() -> None:
    tasks = load(ROLE / "tasks" / "main.yaml")
    (install,) = (n for n, task in enumerate(tasks) if "ansible.builtin.apt" in task)
    (configure,) = (
        n
        for n, task in enumerate(tasks)
        if "/current/configure" in task.get("ansible.builtin.command", "")
    )
    assert install < configure
