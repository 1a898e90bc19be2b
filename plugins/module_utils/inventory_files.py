"""What an inventory's files say and Ansible forgets once it has merged them: who defines a host, what is encrypted.

For the controller only (the inventory plugin ``base`` and the action plugins of the preflight).
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ansible.errors import AnsibleError
from ansible.inventory.manager import IGNORED
from ansible.parsing.vault import AnsibleVaultError

try:
    # Where a value was written. Ansible keeps this to itself, so it may move; then a message names the file alone.
    from ansible._internal._datatag._tags import Origin
except ImportError:  # pragma: no cover
    Origin = None

if TYPE_CHECKING:
    from ansible.parsing.dataloader import DataLoader

_READ: dict[tuple[str, int, int], Any] = {}
"""By path, time of change and size: what a file holds. Ansible forks a process for each task of a host, which inherits
what was read before; else a fleet's files would be parsed once for each of its hosts."""

NO_PASSWORD = "--ask-vault-pass or --vault-password-file FILE on the command line"  # noqa: S105 (advice, no password)


def origin(value: Any) -> str | None:
    """``file:line`` of a value that Ansible read from a file or the command line; ``None`` when it does not know."""
    tag = None if Origin is None else Origin.get_tag(value)
    if tag is None:
        return None
    if tag.path is None:
        return "the command line" if "'-e'" in str(tag.description) else None
    return f"{shown(tag.path)}:{tag.line_num}" if tag.line_num else shown(tag.path)


def shown(path: str | Path) -> str:
    """A path as the operator would write it: relative when it lies below the working directory."""
    return str(path).removeprefix(f"{Path.cwd()}/")  # pathlib's own way takes longer than all else for a fleet


def host_definitions(loader: DataLoader, sources: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """The files (``file:line``) that define each host of an inventory.

    A host is defined where it is given variables, or put into `vps` or `bots`. Listing it once more, in a group of
    the operator's own, defines nothing.
    """
    found: dict[str, dict[str, str]] = {}
    for file in source_files(sources):
        for host, where in _hosts(loader, file):
            found.setdefault(host, {}).setdefault(str(file), where)
    return {host: tuple(files.values()) for host, files in found.items()}


def source_files(sources: Iterable[str]) -> Iterator[Path]:
    """The files of an inventory that define hosts, in the order in which Ansible reads them."""
    for source in sources:
        if "," in source:  # a list of hosts on the command line
            continue
        path = Path(source)
        if path.is_dir():
            inside = sorted(child for child in path.iterdir() if not IGNORED.search(os.fsencode(child.name)))
            yield from source_files(str(child) for child in inside)
        elif path.is_file():
            yield path


def unparsable(loader: DataLoader, sources: Iterable[str]) -> dict[str, str]:
    """Files of hosts that cannot be read: place as shown to the operator, and why.

    Ansible skips such a file with a warning, and what it defines is missing, unless ansible.cfg sets
    ``any_unparsed_is_failed``.
    """
    faults = {}
    for file in source_files(sources):
        if file.suffix not in (".yml", ".yaml", ".json"):
            continue
        try:
            data = _data(loader, file)
        except AnsibleVaultError:
            continue
        except AnsibleError as error:
            place, _, _ = str(error).partition("\n")
            faults[shown(file)] = place.strip().rstrip(".")
            continue
        if not isinstance(data, Mapping):
            faults[shown(file)] = f"it holds a {type(data).__name__}, and an inventory is a mapping of groups"
    return faults


def undecryptable(loader: DataLoader, sources: Iterable[str]) -> dict[str, str]:
    """Encrypted files of variables that cannot be read: path as shown to the operator, and why."""
    faults = {}
    for file in _variable_files(sources):
        with file.open("rb") as opened:
            if not opened.read(14).startswith(b"$ANSIBLE_VAULT"):
                continue
        try:
            loader.load_from_file(str(file), cache="none")
        except AnsibleVaultError as error:
            faults[shown(file)] = vault_fault(error)
        except AnsibleError:
            continue  # it can be decrypted, and Ansible itself tells best what is wrong inside
    return faults


def vault_fault(error: BaseException) -> str:
    """Why something encrypted cannot be read, in our words."""
    if "no vault secrets found" in str(error):
        return "it is encrypted, and no vault password was given"
    return "it is encrypted, and the vault password that was given does not open it"


def _data(loader: DataLoader, file: Path) -> Any:
    status = file.stat()
    state = (str(file), status.st_mtime_ns, status.st_size)
    if state not in _READ:
        _READ[state] = loader.load_from_file(str(file), cache="none", unsafe=True)
    return _READ[state]


def _variable_files(sources: Iterable[str]) -> Iterator[Path]:
    for source in sources:
        if "," in source:
            continue
        path = Path(source)
        directory = path if path.is_dir() else path.parent
        for kind in ("group_vars", "host_vars"):
            yield from sorted(file for file in (directory / kind).rglob("*") if file.is_file())


def _hosts(loader: DataLoader, file: Path) -> Iterator[tuple[str, str]]:
    """Hosts a file defines, each with its place. Dynamic inventories are not asked a second time."""
    if file.suffix in (".yml", ".yaml", ".json"):
        try:
            data = _data(loader, file)
        except AnsibleError:
            return  # `unparsable` says so
        if isinstance(data, Mapping) and "plugin" not in data:
            for group, content in data.items():
                yield from _yaml_hosts(group, content, file)
    elif file.suffix in (".ini", "") and not file.stat().st_mode & 0o111:
        yield from _ini_hosts(file)


def _yaml_hosts(group: str, content: Any, file: Path) -> Iterator[tuple[str, str]]:
    if not isinstance(content, Mapping):
        return
    hosts = content.get("hosts")
    for host, variables in hosts.items() if isinstance(hosts, Mapping) else ():
        if variables or group in ("vps", "bots"):
            yield str(host), origin(host) or shown(file)
    children = content.get("children")
    for name, child in children.items() if isinstance(children, Mapping) else ():
        yield from _yaml_hosts(name, child, file)


def _ini_hosts(file: Path) -> Iterator[tuple[str, str]]:
    section = ""
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
        words = line.split("#")[0].split(";")[0].split()
        if not words:
            continue
        if words[0].startswith("["):
            section = words[0].strip("[]")
        elif ":" not in section and (len(words) > 1 or section in ("vps", "bots")):
            yield words[0], f"{shown(file)}:{number}"
