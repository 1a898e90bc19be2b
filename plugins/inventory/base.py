"""Inventory plugin that lends every inventory the collection's shared variables."""
# ruff: noqa: E402 (Ansible wants the documentation ahead of the imports)

from __future__ import annotations

DOCUMENTATION = """
name: base
short_description: The shared base of every hbot.infra inventory
description:
  - Reads C(group_vars/base/all.yml), C(vps.yml) and C(bots.yml) of the collection and gives their variables to the
    inventory, so that an operator's files hold only what differs.
  - Put it into an inventory directory as C(00_base.yml) with the single line C(plugin: hbot.infra.base).
  - All variables but the connection's (C(ansible_*)) are set on the group C(all), the weakest place there is, and only
    where nobody has set them yet. Whatever an inventory says wins, wherever it says it - in C(hosts.yml), in a bot's
    file, in C(group_vars/) or in C(host_vars/).
  - The connection's variables of C(bots.yml) are set on the group C(bots), since a bot is reached through its VPS.
  - The directory is called C(base) because Ansible itself would read C(group_vars/all.yml) beside a playbook, and such
    a file beats the inventory.
options:
  plugin:
    description: The name of this plugin.
    required: true
    type: str
    choices: [hbot.infra.base]
"""

EXAMPLES = """
# inventories/<name>/00_base.yml
plugin: hbot.infra.base
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ansible.errors import AnsibleParserError
from ansible.plugins.inventory import BaseInventoryPlugin
from ansible.utils.display import Display
from ansible_collections.hbot.infra.plugins.module_utils.inventory_files import (
    NO_PASSWORD,
    undecryptable,
    unparsable,
)

if TYPE_CHECKING:
    from ansible.inventory.data import InventoryData
    from ansible.parsing.dataloader import DataLoader

BASE_DIRECTORY = Path(__file__).resolve().parents[2] / "group_vars" / "base"
"""Found from the plugin's own place, which is right in a checkout and in an installed collection."""

GROUPS = ("all", "vps", "bots")


class InventoryModule(BaseInventoryPlugin):  # type: ignore[misc]  # ansible-core ships no types
    """Sets the variables of ``group_vars/base/<group>.yml`` below everything the operator's inventory says."""

    NAME = "hbot.infra.base"

    def verify_file(self, path: str) -> bool:
        """Accept ``00_base.yml`` and the like; the ``plugin:`` line inside is checked by Ansible."""
        return super().verify_file(path) and path.endswith(("base.yml", "base.yaml"))

    def parse(self, inventory: InventoryData, loader: DataLoader, path: str, cache: bool = True) -> None:
        """Read the base files into ``inventory``.

        :raises AnsibleParserError: when a file of the base is missing or is no mapping.
        """
        super().parse(inventory, loader, path, cache)
        self._read_config_data(path)
        # Ansible stops at the first encrypted file it cannot open, and names neither the file nor the remedy.
        for file, fault in undecryptable(loader, [str(Path(path).parent)]).items():
            Display().warning(f"{file}: {fault}. Fix: {NO_PASSWORD}.")
        unparsable(loader, [str(Path(path).parent)])  # reads the files once, here, and not in each process that asks
        for group in GROUPS:
            inventory.add_group(group)
            for name, value in self._base(loader, group).items():
                target = group if name.startswith("ansible_") else "all"
                if name not in inventory.groups[target].vars:
                    inventory.set_variable(target, name, value)

    def _base(self, loader: DataLoader, group: str) -> dict[str, Any]:
        file = BASE_DIRECTORY / f"{group}.yml"
        if not file.is_file():
            raise AnsibleParserError(f"{file}: this file of the collection is missing; install hbot.infra again")
        # The base is the collection's own: its templates may run, like those of a role's defaults.
        data = loader.load_from_file(str(file), cache="none", trusted_as_template=True)
        if not isinstance(data, dict):
            raise AnsibleParserError(f"{file}: a mapping of variables is wanted here")
        return data
