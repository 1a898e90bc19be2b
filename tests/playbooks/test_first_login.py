"""A first run may be broken off while the operator's user is made; `make lost-power` breaks it off for real."""

import yaml

from tests.campaigns.record import ROOT


def test_the_operator_gets_the_key_after_the_right_to_become_root() -> None:
    """Once the operator can log in, a run asks root for nothing any more."""
    tasks = yaml.safe_load((ROOT / "roles/host_access/tasks/operator.yml").read_text(encoding="utf-8"))
    modules = [name for task in tasks for name in task if "." in name]
    assert modules.index("ansible.builtin.copy") < modules.index("ansible.posix.authorized_key")
