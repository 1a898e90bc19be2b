"""Hosts of the inventory as the preflight wants them: every variable with its value and the line that set it.

For the controller only (the action plugins of the preflight).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ansible.errors import AnsibleError
from ansible_collections.hbot.infra.plugins.module_utils.inventory_files import (
    NO_PASSWORD,
    host_definitions,
    origin,
    shown,
    undecryptable,
    unparsable,
    vault_fault,
)
from ansible_collections.hbot.infra.plugins.module_utils.preflight import (
    OWN_PREFIXES,
    Host,
    Inventory,
    Problem,
    Variable,
)

if TYPE_CHECKING:
    from ansible.parsing.dataloader import DataLoader
    from ansible.template import Templar

COLLECTION = Path(__file__).resolve().parents[2]
BASE = COLLECTION / "group_vars" / "base"


def resolve(
    loader: DataLoader, templar: Templar, task_vars: Mapping[str, Any], hosts: Iterable[str]
) -> tuple[Inventory, tuple[Problem, ...]]:
    """The inventory with the variables of ``hosts``, and what kept any of them from being read."""
    groups = task_vars["groups"]
    sources = task_vars["ansible_inventory_sources"]
    hostvars = task_vars["hostvars"]
    files = host_definitions(loader, sources)
    locked = undecryptable(loader, sources)
    problems = [Problem(file, "all its variables", fault, NO_PASSWORD) for file, fault in locked.items()]
    problems += [
        Problem(file, "all its hosts", fault, "correct that file, or move it out of the inventory")
        for file, fault in unparsable(loader, sources).items()
    ]
    found: dict[str, Host] = {}
    for name in hosts:
        try:
            raw = hostvars.raw_get(name)
        except AnsibleError as error:
            if not locked:
                problems.append(Problem(", ".join(files.get(name, ())), name, str(error), "correct that file"))
            continue
        if "hbot_root" not in raw:
            problems.append(_no_base(sources))
            break
        own_files = files.get(name, ())
        variables, faults = _variables(name, raw, templar, hostvars, own_files)
        problems += faults
        found[name] = Host(name, own_files, variables)
    inventory = Inventory(
        machines=frozenset(groups.get("vps", ())),
        vps={name: host for name, host in found.items() if name in groups.get("vps", ())},
        bots={name: host for name, host in found.items() if name in groups.get("bots", ())},
        groups=frozenset(groups),
    )
    return inventory, tuple(problems)


def homes(templar: Templar, task_vars: Mapping[str, Any]) -> dict[str, str]:
    """By bot of the whole inventory, the VPS it is to be on; a bot whose variables cannot be read is left out."""
    hostvars = task_vars["hostvars"]
    found: dict[str, str] = {}
    for name in task_vars["groups"].get("bots", ()):
        try:
            raw = hostvars.raw_get(name)
            engine = templar.copy_with_new_env(available_variables={**raw, "hostvars": hostvars})
            found[name] = str(engine.template(raw["bot_vps"]))
        except (AnsibleError, KeyError):
            continue
    return found


def known_variables(loader: DataLoader) -> dict[str, Mapping[str, Any]]:
    """Every variable that the collection's base and roles know, with its argument specification if a role has one."""
    known: dict[str, Mapping[str, Any]] = {}
    for file in BASE.glob("*.yml"):
        known.update({name: {"type": "raw"} for name in loader.load_from_file(str(file), cache="all")})
    for file in COLLECTION.glob("roles/*/meta/argument_specs.yml"):
        for entry in loader.load_from_file(str(file), cache="all")["argument_specs"].values():
            known.update(entry.get("options", {}))
    return known


def _no_base(sources: Iterable[str]) -> Problem:
    where = ", ".join(shown(source) for source in sources) or "the inventory"
    fix = (
        "put a file 00_base.yml with the line `plugin: hbot.infra.base` beside hosts.yml, and give the directory as -i"
    )
    return Problem(where, "hbot_root", "this inventory does not read the collection's shared base", fix)


def _variables(
    name: str, raw: Mapping[str, Any], templar: Templar, hostvars: Mapping[str, Any], files: tuple[str, ...]
) -> tuple[dict[str, Variable], list[Problem]]:
    engine = templar.copy_with_new_env(available_variables={**raw, "hostvars": hostvars})
    variables, problems = {}, []
    for key, value in raw.items():
        if not key.startswith(OWN_PREFIXES) and not key.endswith("_image"):
            continue
        where = _where(value, files)
        try:
            variables[key] = Variable(engine.template(value), where)
        except AnsibleError as error:
            last = [*_causes(error)][-1]
            if "vault secrets" in str(last):
                problems.append(Problem(where, key, vault_fault(last), NO_PASSWORD))
            else:
                wrong = f"it cannot be resolved for {name} ({last})"
                problems.append(Problem(where, key, wrong, "correct its template"))
    return variables, problems


def _where(value: Any, files: tuple[str, ...]) -> str:
    """The line that set a value. The collection's base is not the operator's to change: then it is the host's file."""
    place: str | None = origin(value)
    if place is None or place.startswith(shown(BASE)):
        return files[0] if files else "the inventory"
    return place


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__
