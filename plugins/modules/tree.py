#!/usr/bin/python
# Copyright: hbot.infra maintainers. Not for redistribution.
"""Make a tree of directories and files in one module run."""
# ruff: noqa: E402 (Ansible wants the documentation ahead of the imports)

from __future__ import annotations

DOCUMENTATION = r"""
module: tree
short_description: Makes a tree of directories and files in one call
description:
  - Asserts any number of directories and files with owner, group, mode and contents. One module run over SSH costs
    about half a second whatever it does, so one call for a tree instead of one task a file keeps a converge short.
  - All entries are compared first. Then the directories are made, every new file is written beside its place and
    handed to its O(entries[].validate) command, and only when all of them passed is any put in its place (by rename).
    So a reader never sees half a file, and a refused file leaves the others as they were.
  - A symbolic link in the place of a directory below O(root) is refused, never followed. A process that owns one of
    the directories therefore cannot make root write elsewhere.
  - In check mode an unknown owner or a missing parent is no error, because the task that makes it has not run either.
version_added: 0.1.0
options:
  root:
    description:
      - The directory below which everything lies. Relative paths are relative to it; an absolute path outside of it
        is refused.
    type: path
    default: /
  owner:
    description: Owner (name or number) of the entries that name none.
    type: str
  group:
    description: Group (name or number) of the entries that name none.
    type: str
  directory_mode:
    description: Mode, in octal, of the directories that name none.
    type: str
    default: '0755'
  file_mode:
    description: Mode, in octal, of the files that name none.
    type: str
    default: '0644'
  trial:
    description:
      - A judgement of several files together. When one of the files below O(trial.path) is to be written, all entries
        below it are put, as they will be, into a directory for the trial only, and O(trial.command) must accept that.
        Otherwise nothing is changed.
      - Not run in check mode.
    type: dict
    suboptions:
      path:
        description: The directory, absolute or relative to O(root).
        type: str
        required: true
      command:
        description: The command. C(%s) stands for the trial's directory.
        type: str
        required: true
  entries:
    description: The directories and files. A directory comes before what is in it.
    type: list
    elements: dict
    required: true
    suboptions:
      path:
        description: Where, absolute or relative to O(root).
        type: str
        required: true
      state:
        description:
          - V(file) has one of O(entries[].content), O(entries[].content_base64), O(entries[].src), O(entries[].keys),
            or of O(entries[].lines) and O(entries[].kept_lines) one or both.
          - V(kept) is a file that somebody else writes and that is there. Only its owner, group and mode are asserted.
          - V(directory) exists; what is in it is left alone, but see O(entries[].prune).
          - V(immutable) is a directory whose name stands for its contents (a hash). When it is missing, it is filled
            beside its place and renamed, so it is there whole or not at all. When it is there, deviations are repaired.
          - V(absent) removes a file or link, or a directory that is empty.
        type: str
        choices: [file, kept, directory, immutable, absent]
        default: file
      content:
        description: The file's text (UTF-8).
        type: str
      content_base64:
        description: The file's bytes, in base64.
        type: str
      src:
        description: A file on the controller. Its bytes cross the network only when the file on the host differs.
        type: path
      sha256:
        description: The file's hash, which the controller's side of this module puts in the place of O(entries[].src).
        type: str
      keys:
        description:
          - For a YAML file that another program rewrites with keys and comments of its own. Maps a dotted key to the
            value that it must have.
          - The file is rewritten only when one of these values differs; all else in it is kept. Values are compared
            whole, V({}) too. Needs python3-yaml on the host once the file exists.
        type: dict
      lines:
        description:
          - For a text file that others write as well. The last line that a regular expression (the key) finds becomes
            the given line, and what it finds besides goes; when it finds none, the line is added at the end.
        type: dict
      kept_lines:
        description:
          - The same, but a line that is found stays as it is.
        type: dict
      files:
        description:
          - For V(immutable), the files in it. Maps a relative path to a dictionary with one of C(content),
            C(content_base64), C(src).
        type: dict
      owner:
        description: Owner, a name or a number.
        type: str
      group:
        description: Group, a name or a number.
        type: str
      mode:
        description: Mode in octal, quoted.
        type: str
      secret:
        description: Keeps the contents out of diffs.
        type: bool
        default: false
      validate:
        description:
          - A command that must accept the new file before it is put in place. C(%s) stands for the file. Not run in
            check mode.
        type: str
      force:
        description:
          - When V(false), contents are only written when the file is missing. Owner, group and mode are asserted all
            the same.
        type: bool
        default: true
      prune:
        description:
          - For V(directory), shell patterns. A file in the directory that matches one and is in no entry is removed.
        type: list
        elements: str
      closed:
        description:
          - For V(directory), whether everything in it, at any depth, is closed to all but its owner and group.
        type: bool
        default: false
  looked_for:
    description:
      - Patterns of paths, absolute or relative to O(root), that are somebody else's. RV(found) says which are there
        once the entries are in place; nothing is done about them.
    type: list
    elements: str
    default: []
  pending:
    description:
      - For files that a later task or handler makes something follow. Which of them changed is kept in a file until
        that task removes it, and is in RV(paths) again until then; so a run that is stopped between the two is
        finished by the next one.
    type: dict
    suboptions:
      path:
        description: The file, best below C(/run), for a boot starts everything anew.
        type: str
        required: true
      of:
        description: Patterns of absolute paths.
        type: list
        elements: str
        required: true
  units:
    description:
      - Units of systemd that are enabled and run once the entries are in place. systemd reads its files again first
        when an entry below C(/etc/systemd/system) changed, also when no unit is named.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: The unit, with its suffix.
        type: str
        required: true
      restart:
        description:
          - Whether it is started anew when an entry of this tree changed, or when its file is younger than its start,
            because an earlier run was stopped between the two.
        type: bool
        default: true
attributes:
  check_mode:
    support: full
    description: Reports exactly what would change.
  diff_mode:
    support: full
    description: One difference a file; contents of O(entries[].secret) files are left out.
author: hbot.infra maintainers
"""

EXAMPLES = r"""
- name: The jail and its directory are in place
  hbot.infra.tree:
    owner: root
    group: root
    entries:
      - path: /etc/fail2ban/jail.d
        state: directory
      - path: /etc/fail2ban/jail.d/00-hbot.conf
        content: "{{ lookup('hbot.infra.template', 'jail.conf.j2') }}"

- name: One strategy version is on the host
  hbot.infra.tree:
    root: /opt/hbot
    owner: root
    group: root
    entries:
      - path: strategies
        state: directory
      - path: strategies/0f1e2d3c4b5a6978
        state: immutable
        files:
          epp/core/spread.py: {src: /src/files/epp/core/spread.py}
"""

RETURN = r"""
paths:
  description:
    - What changed (or would), in the order of the entries. Before it what O(pending) has of an earlier run.
  returned: always
  type: list
  elements: str
  sample: [/opt/hbot/compose/bot1.yml]
found:
  description: What is there of O(looked_for), sorted.
  returned: when O(looked_for) is given
  type: list
  elements: str
  sample: [/opt/hbot/watchdog/state/bot1/latch.json]
"""

import base64
import binascii
import contextlib
import dataclasses
import errno
import fnmatch
import grp
import hashlib
import json
import os
import pwd
import re
import secrets
import shlex
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.hbot.infra.plugins.module_utils import systemd_units
from ansible_collections.hbot.infra.plugins.module_utils.pending import Pending

try:
    import yaml

    HAS_YAML = True
except ImportError:
    HAS_YAML = False

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NOT_A_DIRECTORY = "is a symbolic link or a file where a directory belongs: move it away"
_HIDDEN = "(secret: contents left out)\n"


class TreeError(Exception):
    """What the operator must know; the message names the path and the remedy."""


@dataclass
class Identity:
    """A user or group: `number` is None when the host does not know the name yet (check mode only)."""

    name: str
    number: int | None


@dataclass
class Attributes:
    """Owner, group and mode that an entry must have; None leaves one as it is."""

    owner: Identity | None
    group: Identity | None
    mode: int


@dataclass
class Entry:
    """One directory or file of the wanted tree. `digest` is the sha256 of a file whose bytes may not be here (yet)."""

    path: str
    parts: tuple[str, ...]
    state: str
    attributes: Attributes
    content: bytes | None = None
    digest: str | None = None
    by_hash: bool = False
    keys: dict[str, Any] | None = None
    lines: dict[str, str] = field(default_factory=dict)
    kept_lines: dict[str, str] = field(default_factory=dict)
    secret: bool = False
    validate: str | None = None
    force: bool = True
    prune: list[str] = field(default_factory=list)
    closed: bool = False
    members: list[Entry] = field(default_factory=list)


@dataclass
class Change:
    """What applying one entry means, and how it is shown."""

    entry: Entry
    make: bool = False
    write: bytes | None = None
    attributes: bool = False
    remove: bool = False
    build: bool = False
    diffs: list[dict[str, Any]] = field(default_factory=list)


def identity(value: str | None, database: str, check_mode: bool) -> Identity | None:
    """The user (`pwd`) or group (`grp`) that `value`, a name or a number, stands for."""
    if value is None:
        return None
    if value.isdigit():
        return Identity(value, int(value))
    try:
        number = pwd.getpwnam(value).pw_uid if database == "pwd" else grp.getgrnam(value).gr_gid
    except KeyError:
        if check_mode:
            return Identity(value, None)
        kind = "user" if database == "pwd" else "group"
        raise TreeError(f"there is no {kind} {value!r} on this host: make it first, or give a number") from None
    return Identity(value, number)


def octal(value: str, path: str) -> int:
    """A mode such as 0640 as a number. Symbolic modes are refused: they depend on what was there before."""
    if not re.fullmatch(r"0?[0-7]{3,4}", value):
        raise TreeError(f"{path}: mode {value!r} is not octal; write it quoted, such as '0640'")
    return int(value, 8)


def contents(spec: dict[str, Any], path: str) -> tuple[bytes | None, str | None]:
    """The bytes of a file and their sha256, of whichever of content, content_base64 and sha256 is given."""
    if spec.get("content") is not None:
        data = str(spec["content"]).encode()
    elif spec.get("content_base64") is not None:
        try:
            data = base64.b64decode(spec["content_base64"], validate=True)
        except (binascii.Error, ValueError) as error:
            raise TreeError(f"{path}: content_base64 is not base64: {error}") from error
    elif spec.get("sha256") is not None:
        return None, str(spec["sha256"])
    else:
        return None, None
    return data, hashlib.sha256(data).hexdigest()


class Host:
    """The file system below one directory, reached without following a symbolic link."""

    def __init__(self, root: str) -> None:
        self.root = os.path.normpath(root)

    def parts(self, path: str) -> tuple[str, ...]:
        """The components of `path` below the root; a path that leaves it is refused."""
        whole = os.path.normpath(path if path.startswith("/") else f"{self.root}/{path}")
        relative = os.path.relpath(whole, self.root)
        if ".." in path.split("/") or relative.startswith(".."):
            raise TreeError(f"{path} is not below {self.root}")
        if relative == ".":
            raise TreeError(f"{path} is the root itself: name what is in it")
        return tuple(relative.split("/"))

    def path(self, parts: tuple[str, ...]) -> str:
        """The absolute path of `parts`."""
        return "/".join((self.root.rstrip("/"), *parts))

    def open_directory(self, parts: tuple[str, ...]) -> int | None:
        """A descriptor of the directory, None when it is missing. A symbolic link on the way is refused."""
        try:
            descriptor = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        for depth, part in enumerate(parts):
            try:
                below = os.open(part, _DIRECTORY, dir_fd=descriptor)
            except FileNotFoundError:
                return None
            except OSError as error:
                if error.errno in (errno.ELOOP, errno.ENOTDIR):
                    place = self.path(parts[: depth + 1])
                    raise TreeError(f"{place} {_NOT_A_DIRECTORY}") from error
                raise
            finally:
                os.close(descriptor)
            descriptor = below
        return descriptor

    def status(self, parts: tuple[str, ...]) -> os.stat_result | None:
        """lstat, None when there is nothing."""
        directory = self.open_directory(parts[:-1])
        if directory is None:
            return None
        try:
            return os.stat(parts[-1], dir_fd=directory, follow_symlinks=False)
        except FileNotFoundError:
            return None
        finally:
            os.close(directory)

    def read(self, parts: tuple[str, ...]) -> bytes:
        """The bytes of a regular file."""
        directory = self.open_directory(parts[:-1])
        if directory is None:
            raise FileNotFoundError(self.path(parts))
        try:
            with os.fdopen(os.open(parts[-1], _FILE, dir_fd=directory), "rb") as stream:
                return stream.read()
        finally:
            os.close(directory)

    def names(self, parts: tuple[str, ...]) -> list[str]:
        """The names in a directory, sorted; none when it is missing."""
        directory = self.open_directory(parts)
        if directory is None:
            return []
        try:
            with os.scandir(directory) as listing:
                return sorted(item.name for item in listing)
        finally:
            os.close(directory)


def owned(status: os.stat_result, wanted: Attributes) -> bool:
    """Whether owner, group and mode are as wanted."""
    for identity_, number in ((wanted.owner, status.st_uid), (wanted.group, status.st_gid)):
        if identity_ is not None and identity_.number != number:
            return False
    return stat.S_IMODE(status.st_mode) == wanted.mode


def described(path: str, state: str, attributes: Attributes | None = None) -> dict[str, Any]:
    """An entry as it will be, for a diff."""
    shown: dict[str, Any] = {"path": path, "state": state}
    if attributes is not None:
        shown["mode"] = f"{attributes.mode:04o}"
        for key, identity_ in (("owner", attributes.owner), ("group", attributes.group)):
            if identity_ is not None:
                shown[key] = identity_.name
    return shown


def found(path: str, status: os.stat_result, wanted: Attributes) -> dict[str, Any]:
    """An entry as it is, for a diff; owners by the name that the entry uses where they agree."""
    kind = "directory" if stat.S_ISDIR(status.st_mode) else "link" if stat.S_ISLNK(status.st_mode) else "file"
    shown: dict[str, Any] = {"path": path, "state": kind, "mode": f"{stat.S_IMODE(status.st_mode):04o}"}
    for key, identity_, number in (("owner", wanted.owner, status.st_uid), ("group", wanted.group, status.st_gid)):
        if identity_ is not None:
            shown[key] = identity_.name if identity_.number == number else str(number)
    return shown


def shown_text(data: bytes, secret: bool) -> str:
    """A file's contents as a diff shows them."""
    if secret:
        return _HIDDEN
    try:
        return data.decode()
    except UnicodeDecodeError:
        return f"(binary, {len(data)} bytes, sha256 {hashlib.sha256(data).hexdigest()})\n"


def merged(entry: Entry, before: bytes | None) -> bytes | None:
    """The YAML file with the wanted keys, None when it has them already."""
    document: Any = {}
    if before is not None:
        if not HAS_YAML:
            raise TreeError(f"{entry.path}: reading YAML on the host needs the package python3-yaml there")
        try:
            document = yaml.safe_load(before) or {}
        except yaml.YAMLError as error:
            raise TreeError(f"{entry.path} is not YAML ({error}): repair it or move it away") from error
        if not isinstance(document, dict):
            raise TreeError(f"{entry.path} is not a YAML mapping: repair it or move it away")
    differs = before is None
    for dotted, value in (entry.keys or {}).items():
        *above, last = dotted.split(".")
        level = document
        for key in above:
            if not isinstance(level.get(key), dict):
                level[key] = {}
            level = level[key]
        if last not in level or level[last] != value or isinstance(level[last], bool) is not isinstance(value, bool):
            level[last] = value
            differs = True
    if not differs:
        return None
    if HAS_YAML:
        return str(yaml.safe_dump(document, sort_keys=False, default_flow_style=False)).encode()
    return (json.dumps(document, indent=2) + "\n").encode()


def with_lines(entry: Entry, before: bytes | None) -> bytes | None:
    """The text file with the wanted lines, None when it has them already."""
    lines = (before or b"").decode(errors="surrogateescape").splitlines()
    for expressions, kept in ((entry.lines, False), (entry.kept_lines, True)):
        for expression, line in expressions.items():
            places = [number for number, there in enumerate(lines) if re.search(expression, there)]
            if not places:
                lines.append(line)
            elif not kept:
                lines[places[-1]] = line
                lines = [there for number, there in enumerate(lines) if number not in places[:-1]]
    after = "".join(f"{line}\n" for line in lines).encode(errors="surrogateescape")
    return None if before is not None and after.splitlines() == before.splitlines() else after


class Tree:
    """Compares a wanted tree with the host and makes it so."""

    def __init__(self, module: AnsibleModule) -> None:
        self.module = module
        self.host = Host(module.params["root"])
        self.entries = [self._entry(spec) for spec in module.params["entries"]]
        self.needs: list[str] = []
        self._planned: set[tuple[str, ...]] = set()

    # -- what is wanted

    def _attributes(self, spec: dict[str, Any], path: str, default_mode: str) -> Attributes:
        params, check = self.module.params, self.module.check_mode
        return Attributes(
            identity(spec.get("owner") or params["owner"], "pwd", check),
            identity(spec.get("group") or params["group"], "grp", check),
            octal(spec.get("mode") or params[default_mode], path),
        )

    def _entry(self, spec: dict[str, Any]) -> Entry:
        parts = self.host.parts(spec["path"])
        path = self.host.path(parts)
        state = spec["state"]
        directory = state in ("directory", "immutable")
        entry = Entry(
            path=path,
            parts=parts,
            state=state,
            attributes=self._attributes(spec, path, "directory_mode" if directory else "file_mode"),
            keys=spec["keys"],
            lines=spec["lines"] or {},
            kept_lines=spec["kept_lines"] or {},
            secret=spec["secret"],
            validate=spec["validate"],
            force=spec["force"],
            prune=spec["prune"] or [],
            closed=spec["closed"],
        )
        entry.content, entry.digest = contents(spec, path)
        entry.by_hash = spec["sha256"] is not None
        has_contents = entry.digest is not None or entry.keys is not None or bool(entry.lines or entry.kept_lines)
        if state == "file" and not has_contents:
            raise TreeError(f"{path}: a file needs one of content, content_base64, src, keys, lines, kept_lines")
        if state != "file" and has_contents:
            raise TreeError(f"{path}: state {state} has no contents")
        if entry.validate is not None and "%s" not in entry.validate:
            raise TreeError(f"{path}: validate {entry.validate!r} has no %s for the file")
        if state == "immutable":
            entry.members = self._members(entry, spec["files"])
        return entry

    def _members(self, entry: Entry, files: dict[str, Any] | None) -> list[Entry]:
        """The directories and files of an immutable directory, directories first."""
        if not files:
            raise TreeError(f"{entry.path}: an immutable directory needs files")
        file_mode = octal(self.module.params["file_mode"], entry.path)
        inside = Attributes(entry.attributes.owner, entry.attributes.group, file_mode)
        directories: set[tuple[str, ...]] = set()
        members = []
        for name in sorted(files):
            parts = self.host.parts(self.host.path((*entry.parts, name)))
            if parts[: len(entry.parts)] != entry.parts:
                raise TreeError(f"{name} is not below {entry.path}")
            directories.update(parts[:depth] for depth in range(len(entry.parts) + 1, len(parts)))
            member = Entry(self.host.path(parts), parts, "file", inside, secret=entry.secret)
            member.content, member.digest = contents(files[name], member.path)
            member.by_hash = files[name].get("sha256") is not None
            if member.digest is None:
                raise TreeError(f"{member.path}: a file needs one of content, content_base64, src")
            members.append(member)
        made = [Entry(self.host.path(p), p, "directory", entry.attributes, prune=["*"]) for p in sorted(directories)]
        return made + members

    # -- comparison

    def plan(self) -> list[Change]:
        """What must change, in the order of the entries. Fills `needs`: files whose bytes must be sent."""
        changes: list[Change] = []
        for entry in self.entries:
            changes += [change for change in self._compare(entry) if change.diffs]
            if entry.state in ("directory", "immutable"):
                self._planned.add(entry.parts)
        return changes

    def _compare(self, entry: Entry) -> list[Change]:
        status = self.host.status(entry.parts)
        if entry.state == "absent":
            return self._compare_absent(entry, status)
        self._require_parent(entry)
        if entry.state == "immutable" and status is None:
            return [self._build(entry)]
        if entry.state in ("directory", "immutable"):
            changes = [self._compare_directory(entry, status)]
            if entry.state == "immutable":
                changes += [change for member in entry.members for change in self._compare(member)]
                known = {member.parts for member in entry.members}
                changes += self._pruned(entry, ["*"], known)
            elif entry.prune:
                known = {other.parts for top in self.entries for other in (top, *top.members)}
                changes += self._pruned(entry, entry.prune, known)
            if entry.closed:
                changes += self._closed(entry.parts)
            return changes
        if entry.state == "kept":
            return [self._compare_kept(entry, status)]
        return [self._compare_file(entry, status)]

    def _require_parent(self, entry: Entry) -> None:
        parent = entry.parts[:-1]
        if not parent or parent in self._planned or self.module.check_mode:
            return
        status = self.host.status(parent)
        if status is None and not any(member.parts == parent for top in self.entries for member in top.members):
            raise TreeError(f"{entry.path}: its directory is missing; list that before it")

    def _compare_absent(self, entry: Entry, status: os.stat_result | None) -> list[Change]:
        if status is None:
            return []
        change = Change(entry, remove=True)
        before = found(entry.path, status, entry.attributes)
        change.diffs.append(self._diff(entry.path, before, described(entry.path, "absent")))
        return [change]

    def _compare_directory(self, entry: Entry, status: os.stat_result | None) -> Change:
        change = Change(entry)
        after = described(entry.path, "directory", entry.attributes)
        if status is None:
            change.make = change.attributes = True
            change.diffs.append(self._diff(entry.path, described(entry.path, "absent"), after))
        elif not stat.S_ISDIR(status.st_mode):
            raise TreeError(f"{entry.path} {_NOT_A_DIRECTORY}")
        elif not owned(status, entry.attributes):
            change.attributes = True
            change.diffs.append(self._diff(entry.path, found(entry.path, status, entry.attributes), after))
        return change

    def _compare_kept(self, entry: Entry, status: os.stat_result | None) -> Change:
        change = Change(entry)
        if status is None:
            if self.module.check_mode:
                return change
            raise TreeError(f"{entry.path} is missing, which somebody else writes: its package is not installed")
        if not stat.S_ISREG(status.st_mode):
            raise TreeError(f"{entry.path} is no regular file: move it away")
        if not owned(status, entry.attributes):
            change.attributes = True
            after = described(entry.path, "file", entry.attributes)
            change.diffs.append(self._diff(entry.path, found(entry.path, status, entry.attributes), after))
        return change

    def _compare_file(self, entry: Entry, status: os.stat_result | None) -> Change:
        change = Change(entry)
        if status is not None and stat.S_ISDIR(status.st_mode):
            raise TreeError(f"{entry.path} is a directory where a file belongs: move it away")
        regular = status is not None and stat.S_ISREG(status.st_mode)
        before = self.host.read(entry.parts) if regular else None
        wanted: bytes | None = None
        if entry.keys is not None:
            wanted = merged(entry, before)
        elif entry.lines or entry.kept_lines:
            wanted = with_lines(entry, before)
        elif before is None or (entry.force and hashlib.sha256(before).hexdigest() != entry.digest):
            wanted = entry.content
            if wanted is None:
                self.needs.append(str(entry.digest))
                wanted = b""
        if wanted is not None:
            change.write = wanted
            change.diffs.append(self._text_diff(entry, before, wanted))
        if status is None or not regular or not owned(status, entry.attributes):
            change.attributes = True
            state = described(entry.path, "absent") if status is None else found(entry.path, status, entry.attributes)
            after = described(entry.path, "file", entry.attributes)
            change.diffs.insert(0, self._diff(entry.path, state, after))
        return change

    def _text_diff(self, entry: Entry, before: bytes | None, after: bytes) -> dict[str, Any]:
        old, new = "" if before is None else shown_text(before, entry.secret), shown_text(after, entry.secret)
        if entry.by_hash:
            # In check mode the bytes stay on the controller, so the difference is shown by hashes in both modes.
            old = "" if before is None else f"(sha256 {hashlib.sha256(before).hexdigest()})\n"
            new = f"(sha256 {entry.digest})\n"
        elif entry.secret:
            new = "(secret: other contents, left out)\n"
        return self._diff(entry.path, old, new)

    @staticmethod
    def _diff(path: str, before: Any, after: Any) -> dict[str, Any]:
        return {"before_header": path, "after_header": path, "before": before, "after": after}

    def _build(self, entry: Entry) -> Change:
        change = Change(entry, build=True)
        files = [member for member in entry.members if member.state == "file"]
        self.needs += [str(member.digest) for member in files if member.content is None]
        after = described(entry.path, "directory", entry.attributes) | {"files": len(files)}
        change.diffs.append(self._diff(entry.path, described(entry.path, "absent"), after))
        return change

    def _pruned(self, entry: Entry, patterns: list[str], known: set[tuple[str, ...]]) -> list[Change]:
        changes = []
        for name in self.host.names(entry.parts):
            parts = (*entry.parts, name)
            if parts in known or not any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns):
                continue
            status = self.host.status(parts)
            if status is not None and not stat.S_ISDIR(status.st_mode):
                gone = Entry(self.host.path(parts), parts, "absent", entry.attributes)
                changes += self._compare_absent(gone, status)
        return changes

    def _closed(self, directory: tuple[str, ...]) -> list[Change]:
        """What in a directory is open to others, without links."""
        changes = []
        for name in self.host.names(directory):
            parts = (*directory, name)
            status = self.host.status(parts)
            if status is None or stat.S_ISLNK(status.st_mode):
                continue
            is_directory = stat.S_ISDIR(status.st_mode)
            wanted = Attributes(None, None, stat.S_IMODE(status.st_mode) & ~stat.S_IRWXO)
            if not owned(status, wanted):
                entry = Entry(self.host.path(parts), parts, "directory" if is_directory else "kept", wanted)
                before = found(entry.path, status, wanted)
                diff = self._diff(entry.path, before, described(entry.path, before["state"], wanted))
                changes.append(Change(entry, attributes=True, diffs=[diff]))
            if is_directory:
                changes += self._closed(parts)
        return changes

    # -- the trial

    def try_out(self, changes: list[Change]) -> None:
        """Lets the trial's command judge the files together before any of them is put in place."""
        trial = self.module.params["trial"]
        if trial is None:
            return
        below = self.host.parts(trial["path"])
        wanted = [entry for entry in self.entries if entry.parts[: len(below)] == below]
        written = {change.entry.path: change.write for change in changes if change.write is not None}
        if written.keys().isdisjoint(entry.path for entry in wanted):
            return
        name = f".trial.{secrets.token_hex(4)}"
        place = Host(f"{self.host.root.rstrip('/')}/{name}")
        root = os.open(self.host.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.mkdir(name, 0o755, dir_fd=root)
            for entry in wanted:
                inner = entry.parts[len(below) :]
                if not inner:
                    self._set_attributes(root, name, entry.attributes)
                elif entry.state == "directory":
                    self._build_member(place, entry, inner)
                elif entry.state == "file":
                    data = written[entry.path] if entry.path in written else self.host.read(entry.parts)
                    self._build_member(place, dataclasses.replace(entry, content=data), inner)
            self._judge(trial, place.root)
        finally:
            self._discard(root, name)
            os.close(root)

    def _judge(self, trial: dict[str, str], place: str) -> None:
        command = [part.replace("%s", place) for part in shlex.split(trial["command"])]
        code, out, err = self.module.run_command(command)
        if code != 0:
            said = "\n".join(line for line in (out.strip(), err.strip()) if line).replace(place, trial["path"])
            raise TreeError(f"the new files below {trial['path']} are refused, nothing was changed:\n{said}")

    # -- change

    def apply(self, changes: list[Change]) -> None:
        """Makes the changes. No file is put in place before all of them are written and valid."""
        for change in changes:
            if change.make:
                self._make_directory(change.entry)
            elif change.attributes and change.entry.state in ("directory", "immutable"):
                self._set_directory_attributes(change.entry)
        staged: list[tuple[int, str, str]] = []
        try:
            for change in changes:
                if change.write is not None:
                    staged += [self._stage(change.entry, change.write)]
            while staged:
                directory, temporary, name = staged[0]
                os.replace(temporary, name, src_dir_fd=directory, dst_dir_fd=directory)
                os.close(directory)
                staged.pop(0)
        finally:
            for directory, temporary, _name in staged:
                os.unlink(temporary, dir_fd=directory)
                os.close(directory)
        for change in changes:
            if change.build:
                self._build_directory(change.entry)
            elif change.remove:
                self._remove(change.entry)
            elif change.attributes and change.write is None and change.entry.state in ("file", "kept"):
                self._set_file_attributes(change.entry)

    def _parent(self, parts: tuple[str, ...]) -> int:
        directory = self.host.open_directory(parts[:-1])
        if directory is None:
            raise TreeError(f"{self.host.path(parts)}: its directory went away meanwhile; run again")
        return directory

    @staticmethod
    def _set(descriptor: int, wanted: Attributes) -> None:
        # The owner first: a change of owner clears the set-id bits of the mode.
        uid = -1 if wanted.owner is None or wanted.owner.number is None else wanted.owner.number
        gid = -1 if wanted.group is None or wanted.group.number is None else wanted.group.number
        if (uid, gid) != (-1, -1):
            os.fchown(descriptor, uid, gid)
        os.fchmod(descriptor, wanted.mode)

    def _set_attributes(self, parent: int, name: str, wanted: Attributes) -> None:
        """Owner, group and mode of a directory that this run made."""
        descriptor = os.open(name, _DIRECTORY, dir_fd=parent)
        try:
            self._set(descriptor, wanted)
        finally:
            os.close(descriptor)

    def _make_directory(self, entry: Entry) -> None:
        parent = self._parent(entry.parts)
        try:
            os.mkdir(entry.parts[-1], 0o700, dir_fd=parent)
        except FileExistsError:
            pass  # another run on the same host made it meanwhile; the attributes below are the same
        finally:
            os.close(parent)
        self._set_directory_attributes(entry)

    def _set_directory_attributes(self, entry: Entry) -> None:
        descriptor = self.host.open_directory(entry.parts)
        if descriptor is None:
            raise TreeError(f"{entry.path} went away meanwhile; run again")
        try:
            self._set(descriptor, entry.attributes)
        finally:
            os.close(descriptor)

    def _set_file_attributes(self, entry: Entry) -> None:
        parent = self._parent(entry.parts)
        try:
            descriptor = os.open(entry.parts[-1], _FILE, dir_fd=parent)
            try:
                self._set(descriptor, entry.attributes)
            finally:
                os.close(descriptor)
        finally:
            os.close(parent)

    def _write(self, directory: int, name: str, data: bytes, attributes: Attributes) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(name, flags, 0o600, dir_fd=directory), "wb") as stream:
            stream.write(data)
            stream.flush()
            self._set(stream.fileno(), attributes)
            os.fsync(stream.fileno())

    def _stage(self, entry: Entry, data: bytes) -> tuple[int, str, str]:
        """Writes the file beside its place for `validate` to judge; returns its directory, temporary name and name."""
        directory = self._parent(entry.parts)
        name = entry.parts[-1]
        # Neither `*` nor `*.conf` matches it, so a daemon that reads the directory meanwhile does not see it.
        temporary = f".{name}.{secrets.token_hex(4)}"
        try:
            self._write(directory, temporary, data, entry.attributes)
            if entry.validate is not None:
                self._validate(entry, self.host.path((*entry.parts[:-1], temporary)))
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary, dir_fd=directory)
            os.close(directory)
            raise
        return directory, temporary, name

    def _validate(self, entry: Entry, path: str) -> None:
        command = [part.replace("%s", path) for part in shlex.split(str(entry.validate))]
        code, out, err = self.module.run_command(command)
        if code != 0:
            said = "(its output is left out: the file is secret)" if entry.secret else (err.strip() or out.strip())
            raise TreeError(f"{entry.path}: {entry.validate!r} refuses the new contents, no file was changed: {said}")

    def _build_directory(self, entry: Entry) -> None:
        """Fills the directory beside its place and renames it, so that no reader ever sees a part of it."""
        parent = self._parent(entry.parts)
        name = entry.parts[-1]
        temporary = f".{name}.{secrets.token_hex(4)}"
        try:
            os.mkdir(temporary, 0o700, dir_fd=parent)
            beside = Host(self.host.path((*entry.parts[:-1], temporary)))
            for member in entry.members:
                self._build_member(beside, member, member.parts[len(entry.parts) :])
            self._set_attributes(parent, temporary, entry.attributes)
            try:
                os.rename(temporary, name, src_dir_fd=parent, dst_dir_fd=parent)
            except OSError as error:
                # Another bot's converge on the same host was faster with the very same contents.
                if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                    raise
                self._discard(parent, temporary)
        except BaseException:
            self._discard(parent, temporary)
            raise
        finally:
            os.close(parent)

    def _build_member(self, beside: Host, member: Entry, inner: tuple[str, ...]) -> None:
        """Makes one directory or file of an immutable directory."""
        directory = beside.open_directory(inner[:-1])
        if directory is None:
            raise TreeError(f"{member.path}: its directory went away meanwhile; run again")
        try:
            if member.state == "file":
                self._write(directory, inner[-1], member.content or b"", member.attributes)
                return
            os.mkdir(inner[-1], 0o700, dir_fd=directory)
            self._set_attributes(directory, inner[-1], member.attributes)
        finally:
            os.close(directory)

    def _discard(self, parent: int, name: str) -> None:
        """Removes a directory that this run made, with what is in it."""
        try:
            descriptor = os.open(name, _DIRECTORY, dir_fd=parent)
        except FileNotFoundError:
            return
        try:
            with os.scandir(descriptor) as listing:
                for item in list(listing):
                    if item.is_dir(follow_symlinks=False):
                        self._discard(descriptor, item.name)
                    else:
                        os.unlink(item.name, dir_fd=descriptor)
        finally:
            os.close(descriptor)
        os.rmdir(name, dir_fd=parent)

    def _remove(self, entry: Entry) -> None:
        parent = self._parent(entry.parts)
        try:
            if stat.S_ISDIR(os.stat(entry.parts[-1], dir_fd=parent, follow_symlinks=False).st_mode):
                os.rmdir(entry.parts[-1], dir_fd=parent)
            else:
                os.unlink(entry.parts[-1], dir_fd=parent)
        except FileNotFoundError:
            pass
        except OSError as error:
            if error.errno == errno.ENOTEMPTY:
                raise TreeError(f"{entry.path} is not empty: nothing in it is removed unasked") from error
            raise
        finally:
            os.close(parent)


def there(root: str, patterns: list[str]) -> list[str]:
    """What is there of some patterns, absolute or relative to a root."""
    places = ((Path("/" if pattern.startswith("/") else root), pattern.lstrip("/")) for pattern in patterns)
    return sorted(str(path) for place, pattern in places for path in place.glob(pattern))


UNIT_FILES = "/etc/systemd/system/"

ENTRY_SPEC = {
    "path": {"type": "str", "required": True},
    "state": {"type": "str", "choices": ["file", "kept", "directory", "immutable", "absent"], "default": "file"},
    "content": {"type": "str"},
    "content_base64": {"type": "str"},
    "sha256": {"type": "str"},
    "src": {"type": "path"},
    "keys": {"type": "dict", "no_log": False},
    "lines": {"type": "dict"},
    "kept_lines": {"type": "dict"},
    "files": {"type": "dict"},
    "owner": {"type": "str"},
    "group": {"type": "str"},
    "mode": {"type": "str"},
    "secret": {"type": "bool", "default": False, "no_log": False},
    "validate": {"type": "str"},
    "force": {"type": "bool", "default": True},
    "prune": {"type": "list", "elements": "str"},
    "closed": {"type": "bool", "default": False},
}


UNIT_SPEC = {
    "name": {"type": "str", "required": True},
    "restart": {"type": "bool", "default": True},
}


def settle_units(module: AnsibleModule, paths: list[str]) -> list[dict[str, Any]]:
    """Has the units enabled and running; the differences, one for each that was not."""
    units = module.params["units"]
    follow = [unit["name"] for unit in units if unit["restart"]]
    settled = systemd_units.settle(
        module,
        [unit["name"] for unit in units],
        reload=any(path.startswith(UNIT_FILES) for path in paths),
        restarted=follow if paths else [],
        follow=follow,
    )
    return [
        {"before_header": was.name, "after_header": was.name, "before": was.words(), "after": now.words()}
        for was, now in settled
    ]


def main() -> None:
    """Runs the module."""
    module = AnsibleModule(
        argument_spec={
            "root": {"type": "path", "default": "/"},
            "owner": {"type": "str"},
            "group": {"type": "str"},
            "directory_mode": {"type": "str", "default": "0755"},
            "file_mode": {"type": "str", "default": "0644"},
            "trial": {
                "type": "dict",
                "options": {"path": {"type": "str", "required": True}, "command": {"type": "str", "required": True}},
            },
            "entries": {"type": "list", "elements": "dict", "required": True, "options": ENTRY_SPEC},
            "looked_for": {"type": "list", "elements": "str", "default": []},
            "pending": {
                "type": "dict",
                "options": {
                    "path": {"type": "str", "required": True},
                    "of": {"type": "list", "elements": "str", "required": True},
                },
            },
            "units": {"type": "list", "elements": "dict", "default": [], "options": UNIT_SPEC},
        },
        supports_check_mode=True,
        no_log=True,  # the journal gets no copy of whole files, secret or not
    )
    # -vvv shows which entries were asked for, never what is in them.
    shown = ("path", "state", "owner", "group", "mode")
    asked = [{key: entry[key] for key in shown} for entry in module.params["entries"]]
    invocation = {"module_args": {"root": module.params["root"], "entries": asked}}
    followed = module.params["pending"] or {"path": None, "of": []}
    pending = Pending(followed["path"])
    try:
        tree = Tree(module)
        changes = tree.plan()
        paths = list(dict.fromkeys(change.entry.path for change in changes))
        if tree.needs and not module.check_mode:
            module.exit_json(changed=False, paths=[], needs=sorted(set(tree.needs)), invocation=invocation)
        if not module.check_mode:
            tree.try_out(changes)
            pending.note([path for path in paths if any(fnmatch.fnmatch(path, of) for of in followed["of"])])
            tree.apply(changes)
    except TreeError as error:
        module.fail_json(msg=str(error), exception=None, invocation=invocation)
    settled = settle_units(module, paths)
    result: dict[str, Any] = {"paths": list(dict.fromkeys(pending.left + paths))}
    if module.params["looked_for"]:
        result["found"] = there(module.params["root"], module.params["looked_for"])
    if module._diff:
        result["diff"] = [diff for change in changes for diff in change.diffs] + settled + pending.diff()
    module.exit_json(changed=bool(changes or settled or pending.left), invocation=invocation, **result)


if __name__ == "__main__":
    main()
