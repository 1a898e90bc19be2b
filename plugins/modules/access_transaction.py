#!/usr/bin/python
# Copyright: hbot.infra maintainers. Not for redistribution.
"""Change sshd, UFW and fail2ban as one transaction that undoes itself unless it is committed."""
# ruff: noqa: E402 (Ansible wants the documentation ahead of the imports)

from __future__ import annotations

DOCUMENTATION = r"""
module: access_transaction
short_description: Changes sshd, UFW and fail2ban together, and undoes it unless a fresh login confirms it
description:
  - sshd, the firewall and fail2ban decide together who can log in, so they change together. V(begun) compares what is
    wanted with the files and with what runs. If something differs it first checks that the operator would still get in,
    keeps a snapshot, arms a timer and a boot-time unit that restore it, and only then changes anything. The caller then
    proves a fresh login and runs the module with V(committed). Without that, the host goes back by itself.
  - Nothing is armed, and one module run is all it takes, when nothing differs.
  - The firewall's rules are exactly O(ufw_rules); others are removed.
version_added: 0.1.0
options:
  state:
    description:
      - V(begun) makes the change and leaves it armed.
      - V(committed) keeps it; fails if it has been undone meanwhile.
      - V(undone) waits until the host has undone it and returns what was put back.
    type: str
    choices: [begun, committed, undone]
    required: true
  seconds:
    description: How long the host waits for the commit before it restores.
    type: int
    default: 60
  user:
    description: The operator's user. Needs a key, or O(authorized_keys), for anything to change.
    type: str
  authorized_keys:
    description: Public keys that the operator's user must have. Others that it has stay.
    type: list
    elements: str
    default: []
  ssh_port:
    description: The port that sshd listens on. This module does not move it, and refuses when it is another.
    type: int
    default: 22
  ssh_sources:
    description: Networks that may reach the SSH port. Empty means all. The operator's own address must be in one.
    type: list
    elements: str
    default: []
  never_ban:
    description: Addresses and networks that fail2ban leaves alone, besides the operator's own and loopback.
    type: list
    elements: str
    default: []
  sshd_path:
    description: Where the settings go. It must sort before the files of the cloud image, because the first value wins.
    type: path
    default: /etc/ssh/sshd_config.d/00-hbot.conf
  sshd_settings:
    description: sshd_config keywords and their values.
    type: dict
    default: {}
  sshd_settings_if_known:
    description: The same, for keywords that older or newer releases of sshd do not know; those are left out.
    type: dict
    default: {}
  sshd_algorithms:
    description: Keywords whose value is a list of algorithms; those that this sshd does not know are left out.
    type: dict
    default: {}
  ufw_rules:
    description: Further rules as C(ufw show added) prints them, without the leading C(ufw).
    type: list
    elements: str
    default: []
  ufw_blocks:
    description:
      - iptables-restore lines that go into the filter table of a file in /etc/ufw (the key), ahead of its C(COMMIT).
        Write rules as iptables-save prints them, so that they can be found again in what runs.
    type: dict
    default: {}
  fail2ban_path:
    description: Where the jail goes. It must sort last, because the last value wins.
    type: path
    default: /etc/fail2ban/jail.d/zz-hbot.local
  fail2ban_jail:
    description: Sections of the jail file and their settings. C(ignoreip) is added to C(DEFAULT).
    type: dict
    default: {}
attributes:
  check_mode:
    support: full
    description: Reports what would change, also on a host where UFW and fail2ban are not installed yet.
  diff_mode:
    support: full
    description: One difference a file, and one for what runs.
author: hbot.infra maintainers
"""

EXAMPLES = r"""
- name: Access is as the inventory says
  hbot.infra.access_transaction:
    state: begun
    user: ops
    sshd_settings: {PermitRootLogin: "no", PasswordAuthentication: "no"}
    fail2ban_jail: {sshd: {enabled: "true", mode: aggressive}}
  register: access

- name: The change is kept
  hbot.infra.access_transaction:
    state: committed
  when: access is changed # and after a fresh login has been proved
"""

RETURN = r"""
changes:
  description: What differed, one sentence each.
  type: list
  elements: str
  returned: for V(begun)
undone:
  description: What the host put back - C(how) (now or boot), C(files), C(rules), C(at) (seconds since the epoch).
  type: dict
  returned: for V(undone)
"""

import contextlib
import inspect
import ipaddress
import json
import os
import pwd
import re
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.hbot.infra.plugins.module_utils import access_restore
from ansible_collections.hbot.infra.plugins.module_utils.access_restore import run

MARK_BEGIN = "# BEGIN hbot.infra"
MARK_END = "# END hbot.infra"
SSHD = "/usr/sbin/sshd"
LISTENS = "0A"
"""A socket's state in the kernel's tables."""

LISTENS_WITHIN_S = 10.0
SSHD_CONFIG = Path("/etc/ssh/sshd_config")
UFW = Path("/etc/ufw")
UFW_DEFAULTS = Path("/etc/default/ufw")
UFW_POLICIES = {
    "IPV6": "yes",
    "DEFAULT_INPUT_POLICY": '"DROP"',
    "DEFAULT_OUTPUT_POLICY": '"ACCEPT"',
    "DEFAULT_FORWARD_POLICY": '"DROP"',
    "IPT_SYSCTL": "",  # kernel settings have one place, /etc/sysctl.d; UFW's own would undo some of them
}
# What must be in effect, whatever other files say: checked with sshd's own -T, not by reading files.
BARRED = ("permitrootlogin", "passwordauthentication", "kbdinteractiveauthentication", "permitemptypasswords")
# ssh -Q's name for what a keyword lists
ALGORITHM_KINDS = {"Ciphers": "cipher", "MACs": "mac", "KexAlgorithms": "kex", "HostKeyAlgorithms": "key-sig"}


class RefusedError(Exception):
    """The change would lock the operator out or cannot be made; nothing has been touched."""


class FailedError(Exception):
    """The change failed half-way; the module restores the snapshot at once."""


@dataclass
class Change:
    """What is wanted, compared with what is there."""

    module: AnsibleModule
    operator: str | None
    files: dict[Path, tuple[str, str]] = field(default_factory=dict)  # path -> (before, after)
    modes: dict[Path, int] = field(default_factory=dict)
    rules_missing: list[str] = field(default_factory=list)
    rules_surplus: list[str] = field(default_factory=list)
    firewall: list[str] = field(default_factory=list)  # how the running firewall deviates from UFW's files
    jail: list[str] = field(default_factory=list)  # how fail2ban deviates from running, now and after a boot

    @property
    def params(self) -> dict[str, Any]:
        return dict(self.module.params)

    def want(self, path: Path, text: str, mode: int) -> None:
        """Ask for a file's contents; a file that is already so is no change."""
        before = path.read_text(encoding="utf-8") if path.exists() else ""
        if before != text:
            self.files[path] = (before, text)
            self.modes[path] = path.stat().st_mode & 0o7777 if path.exists() else mode

    def sentences(self) -> list[str]:
        """Say what differs."""
        return [
            *(f"{path} differs" for path in self.files),
            *(f"UFW has no rule: {rule}" for rule in self.rules_missing),
            *(f"UFW has a rule that is not wanted: {rule}" for rule in self.rules_surplus),
            *self.firewall,
            *self.jail,
        ]

    def diff(self) -> list[dict[str, str]]:
        """Return the difference in Ansible's form."""
        diffs = [
            {"before_header": str(path), "after_header": str(path), "before": before, "after": after}
            for path, (before, after) in self.files.items()
        ]
        if self.rules_missing or self.rules_surplus or self.firewall or self.jail:
            before = [*(f"ufw {rule}" for rule in self.rules_surplus), *self.firewall, *self.jail]
            after = [f"ufw {rule}" for rule in self.rules_missing]
            diffs.append(
                {
                    "before_header": "what runs",
                    "after_header": "what runs",
                    "before": "".join(line + "\n" for line in before),
                    "after": "".join(line + "\n" for line in after),
                }
            )
        return diffs


def operator_address() -> str | None:
    """Return the address that this very SSH session comes from; None when it is no SSH session."""
    pid = os.getpid()
    while pid > 1:
        try:
            environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
            status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
        except OSError:
            return None
        for entry in environment:
            if entry.startswith(b"SSH_CONNECTION="):
                return entry.split(b"=", 1)[1].split()[0].decode()
        pid = int(re.search(r"^PPid:\s+(\d+)", status, re.MULTILINE)[1])  # type: ignore[index] # always there
    return None


def installed(program: str) -> bool:
    """Tell whether a program is there: in check mode on a bare host UFW and fail2ban are not yet."""
    return shutil.which(program, path="/usr/sbin:/usr/bin:/sbin:/bin") is not None


# ---- sshd


def sshd_text(change: Change) -> str:
    """Return the drop-in, without keywords and algorithms that this sshd does not know."""
    params = change.params
    lines = [
        "# Made by hbot.infra (role host_access). The first value of a keyword wins, so this file sorts first.",
        *(f"{keyword} {value}" for keyword, value in params["sshd_settings"].items()),
    ]
    optional = [f"{keyword} {value}" for keyword, value in params["sshd_settings_if_known"].items()]
    with tempfile.NamedTemporaryFile("w", suffix=".conf") as handle:
        handle.write("".join(line + "\n" for line in optional))
        handle.flush()
        _, output = run(SSHD, "-T", "-f", handle.name)
    unknown = {int(number) for number in re.findall(r"line (\d+): Bad configuration option", output)}
    lines += [line for number, line in enumerate(optional, 1) if number not in unknown]
    for keyword, wanted in params["sshd_algorithms"].items():
        known = run("ssh", "-Q", ALGORITHM_KINDS[keyword])[1].split()
        usable = [name for name in wanted if name in known]
        if not usable:
            raise RefusedError(f"sshd_algorithms: this sshd knows none of the {keyword}: {', '.join(wanted)}.")
        lines.append(f"{keyword} {','.join(usable)}")
    return "\n".join(lines) + "\n"


def sshd_effective(change: Change, drop_in: str, user: str) -> dict[str, str]:
    """Return what would be in effect for a user with the new drop-in: the merged configuration, asked of sshd -T."""
    path = Path(change.params["sshd_path"])
    Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # missing while a socket-activated sshd is idle
    with tempfile.TemporaryDirectory(prefix="hbot-sshd-") as scratch:
        merged = Path(scratch) / "sshd_config.d"
        shutil.copytree(path.parent, merged) if path.parent.exists() else merged.mkdir()
        (merged / path.name).write_text(drop_in, encoding="utf-8")
        main = Path(scratch) / "sshd_config"
        main.write_text(
            SSHD_CONFIG.read_text(encoding="utf-8").replace(f"{path.parent}/", f"{merged}/"), encoding="utf-8"
        )
        address = change.operator or "127.0.0.1"
        code, output = run(SSHD, "-T", "-f", str(main), "-C", f"user={user},host={address},addr={address}")
    if code != 0:
        raise RefusedError(
            "sshd refuses the new configuration, so nothing was changed: "
            + output.strip().replace(str(merged), str(path.parent)).replace(str(main), str(SSHD_CONFIG))
        )
    effective: dict[str, str] = {}
    for line in output.splitlines():
        keyword, _, value = line.partition(" ")
        effective[keyword] = f"{effective[keyword]} {value}" if keyword in effective else value
    return effective


def sshd_origin(change: Change, keyword: str) -> str:
    """Name the lines, outside of our own file, that set a keyword."""
    own = Path(change.params["sshd_path"])
    found = []
    for path in [SSHD_CONFIG, *sorted(own.parent.glob("*.conf"))]:
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
            if path != own and line.split()[:1] and line.split()[0].lower() == keyword:
                found.append(f"{path}:{number} ({line.strip()})")
    return ", ".join(found) or "role variable host_access_sshd_settings"


def check_login(change: Change, drop_in: str) -> None:
    """Refuse a configuration that would bar the operator, or would not bar root and passwords."""
    params = change.params
    user = params["user"]
    wanted = {keyword.lower(): str(value).lower() for keyword, value in params["sshd_settings"].items()}
    effective = sshd_effective(change, drop_in, user)
    for keyword in BARRED:
        for who in (user, "root") if keyword in wanted else ():
            value = (effective if who == user else sshd_effective(change, drop_in, "root")).get(keyword)
            if value != wanted[keyword]:
                raise RefusedError(
                    f"{keyword} would be '{value}' for {who}, but {params['sshd_path']} says '{wanted[keyword]}': "
                    f"another line comes first or is in a Match block: {sshd_origin(change, keyword)}. Remove it there."
                )
    if str(params["ssh_port"]) not in effective["port"].split():
        raise RefusedError(
            f"host_access_ssh_port is {params['ssh_port']}, but sshd listens on {effective['port']}: the firewall "
            f"would close the port in use. Set host_access_ssh_port to the port in use; this role does not move it."
        )
    account = pwd.getpwnam(user)
    groups = run("id", "-nG", user)[1].split()
    lists = (
        ("allowusers", [user], True),
        ("allowgroups", groups, True),
        ("denyusers", [user], False),
        ("denygroups", groups, False),
    )
    for keyword, names, needed in lists:
        patterns = [pattern.partition("@")[0] for pattern in effective.get(keyword, "").split()]
        matched = any(_matches(name, pattern) for name in names for pattern in patterns)
        if patterns and matched != needed:
            raise RefusedError(
                f"{keyword} {effective[keyword]} would bar {user}, the operator's user: "
                f"{sshd_origin(change, keyword)}. Nothing was changed."
            )
    if effective.get("pubkeyauthentication") != "yes":
        raise RefusedError(f"pubkeyauthentication would be off: {sshd_origin(change, 'pubkeyauthentication')}.")
    keys = Path(account.pw_dir, ".ssh/authorized_keys")
    existing = keys.read_text(encoding="utf-8") if keys.exists() else ""
    if not params["authorized_keys"] and not re.search(r"^\s*[^#\s]", existing, re.MULTILINE):
        raise RefusedError(
            f"{user} has no key in {keys}, and passwords are about to be barred: put the operator's public key into "
            f"host_access_authorized_keys."
        )


def _matches(name: str, pattern: str) -> bool:
    return re.fullmatch(re.escape(pattern).replace(r"\*", ".*").replace(r"\?", "."), name) is not None


def want_keys(change: Change) -> None:
    """Ask for the operator's keys; keys that are there and not named stay."""
    account = pwd.getpwnam(change.params["user"])
    path = Path(account.pw_dir, ".ssh/authorized_keys")
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    present = {" ".join(line.split()[:2]) for line in before.splitlines()}
    wanted = [key.strip() for key in change.params["authorized_keys"]]
    missing = [key for key in wanted if " ".join(key.split()[:2]) not in present]
    if missing:
        kept = before if before.endswith("\n") or not before else before + "\n"
        change.want(path, kept + "\n".join(missing) + "\n", 0o600)


# ---- UFW


def with_block(text: str, block: str) -> str:
    """Return a rules file with our lines in its filter table, ahead of the COMMIT; an older block is replaced."""
    ours = f"{MARK_BEGIN}\n{block.strip()}\n{MARK_END}\n"
    text = re.sub(rf"{re.escape(MARK_BEGIN)}\n.*?{re.escape(MARK_END)}\n", "", text, flags=re.DOTALL)
    if not text.strip():
        return f"*filter\n{ours}COMMIT\n"
    head, table, rest = text.partition("*filter")
    rules, commit, tail = rest.partition("\nCOMMIT")
    if not table or not commit:
        raise RefusedError(
            "UFW's rules file has no '*filter … COMMIT': reinstall it with `apt-get install --reinstall ufw`."
        )
    return f"{head}{table}{rules}\n{ours.rstrip()}{commit}{tail}"


def check_rules(path: Path, text: str) -> None:
    """Have iptables-restore parse a rules file, with the chains that UFW itself makes beforehand."""
    command = "ip6tables-restore" if path.stem.endswith("6") else "iptables-restore"
    targets = set(re.findall(r"^-[AI] (ufw6?-\S+)", text, re.MULTILINE)) | set(re.findall(r"-j (ufw6?-\S+)", text))
    made = set(re.findall(r"^:(\S+)", text, re.MULTILINE))
    declared = "".join(f":{name} - [0:0]\n" for name in sorted(targets - made))
    code, output = run(command, "-n", "--test", stdin=text.replace("*filter\n", "*filter\n" + declared, 1))
    if code != 0:
        raise RefusedError(f"{command} refuses the new {path}, so nothing was changed: {output.strip()}")


def want_firewall(change: Change) -> None:
    """Compare UFW's rules, policies and rule files, and what the kernel really has, with what is wanted."""
    params = change.params
    port = params["ssh_port"]
    if params["ssh_sources"]:
        wanted = [f"allow from {source} to any port {port} proto tcp" for source in params["ssh_sources"]]
    else:
        wanted = [f"allow {port}/tcp"]
    wanted += params["ufw_rules"]
    present: list[str] = []
    if installed("ufw"):
        shown = run("ufw", "show", "added")[1].splitlines()
        present = [line[len("ufw ") :] for line in shown if line.startswith("ufw ")]
    change.rules_missing = [rule for rule in wanted if rule not in present]
    change.rules_surplus = [rule for rule in present if rule not in wanted]

    for name, block in params["ufw_blocks"].items():
        path = UFW / name
        change.want(path, with_block(path.read_text(encoding="utf-8") if path.exists() else "", block), 0o640)
    defaults = UFW_DEFAULTS.read_text(encoding="utf-8") if UFW_DEFAULTS.exists() else ""
    for key, value in UFW_POLICIES.items():
        line = f"{key}={value}"
        if re.search(rf"^{key}=", defaults, re.MULTILINE):
            defaults = re.sub(rf"^{key}=.*$", line, defaults, flags=re.MULTILINE)
        else:
            defaults += line + "\n"
    change.want(UFW_DEFAULTS, defaults, 0o644)

    conf = UFW / "ufw.conf"
    if "ENABLED=yes" not in (conf.read_text(encoding="utf-8") if conf.exists() else ""):
        change.firewall.append("UFW is not enabled")
    elif not change.files and not change.rules_missing and not change.rules_surplus:
        change.firewall += firewall_deviations(params["ufw_blocks"])
    change.firewall += unit_deviations("ufw.service")


def unit_deviations(unit: str) -> list[str]:
    """Tell in what a unit deviates from running, now and after a boot."""
    states = (("is-active", "does not run"), ("is-enabled", "is not enabled"))
    return [f"{unit} {sentence}" for state, sentence in states if run("systemctl", state, "--quiet", unit)[0] != 0]


def firewall_deviations(blocks: dict[str, str]) -> list[str]:
    """Tell where the kernel's rules are not those of UFW's files: someone ran `iptables -F`, say."""
    deviations = []
    for family, command, suffix in (("IPv4", "iptables-save", ""), ("IPv6", "ip6tables-save", "6")):
        kernel = run(command, "-t", "filter")[1].splitlines()
        chain = f"ufw{suffix}-before-input"
        needed = {f"-A INPUT -j {chain}"}
        for name, block in blocks.items():
            if Path(name).stem.endswith("6") == bool(suffix):
                rules = re.findall(r"^-[AI] .*$", block, re.MULTILINE)
                needed |= {re.sub(r"^-I (\S+)(?: \d+)? ", r"-A \1 ", rule) for rule in rules}
        user = f"-A ufw{suffix}-user-input "
        kept = (UFW / f"user{suffix}.rules").read_text(encoding="utf-8").splitlines()
        if sum(line.startswith(user) for line in kernel) != sum(line.startswith(user) for line in kept):
            deviations.append(f"the {family} rules in the kernel are not those of {UFW}/user{suffix}.rules")
        if not any(line.startswith(":INPUT DROP") for line in kernel):
            deviations.append(f"the {family} INPUT policy in the kernel is not DROP")
        deviations += [f"the {family} rules in the kernel lack: {rule}" for rule in sorted(needed - set(kernel))]
    return deviations


def loose_chains(kernel: list[str], suffix: str) -> str:
    """What `iptables-restore --noflush` deletes UFW's chains by, where nothing in the kernel leads to them any more.

    :param kernel: the lines of `iptables-save -t filter`.
    :param suffix: `6` for IPv6.
    """
    chains = re.findall(rf"^:(ufw{suffix}-\S+) ", "\n".join(kernel), re.MULTILINE)
    if not chains or f"-A INPUT -j ufw{suffix}-before-input" in kernel:
        return ""
    leads = rf"-A ((?!ufw)\S+ .*-j ufw{suffix}-\S+)$"
    rules = [f"-D {found.group(1)}" for line in kernel if (found := re.match(leads, line))]
    rules += [f"-F {chain}" for chain in chains] + [f"-X {chain}" for chain in chains]
    return "\n".join(["*filter", *rules, "COMMIT", ""])


def forget_loose_chains() -> None:
    """Delete UFW's chains where somebody flushed what leads to them.

    UFW takes their presence for its rules, sets the policy to DROP, and loads nothing that lets the operator in.
    """
    for command, suffix in (("iptables", ""), ("ip6tables", "6")):
        text = loose_chains(run(f"{command}-save", "-t", "filter")[1].splitlines(), suffix)
        if text:
            code, output = run(f"{command}-restore", "--noflush", stdin=text)
            if code != 0:
                raise FailedError(f"UFW's loose chains cannot be deleted: {output.strip()}")


def check_sources(change: Change) -> None:
    """Refuse SSH sources that leave the operator out."""
    sources = change.params["ssh_sources"]
    if sources and change.operator:
        address = ipaddress.ip_address(change.operator.partition("%")[0])
        networks = [ipaddress.ip_network(source, strict=False) for source in sources]
        if not any(address.version == network.version and address in network for network in networks):
            raise RefusedError(
                f"host_access_ssh_sources ({', '.join(sources)}) leaves out {change.operator}, the address you come "
                f"from: add it. Nothing was changed."
            )


# ---- fail2ban


def jail_text(change: Change) -> str:
    """Return the jail file; the operator's address is never banned."""
    never = ["127.0.0.1/8", "::1", *([change.operator] if change.operator else []), *change.params["never_ban"]]
    sections = {name: dict(settings) for name, settings in change.params["fail2ban_jail"].items()}
    sections.setdefault("DEFAULT", {})["ignoreip"] = " ".join(dict.fromkeys(never))
    lines = ["# Made by hbot.infra (role host_access)."]
    for name in sorted(sections, key=lambda section: (section != "DEFAULT", section)):
        lines += [f"[{name}]", *(f"{key} = {value}" for key, value in sections[name].items())]
    return "\n".join(lines) + "\n"


# ---- the transaction


def compare(change: Change) -> None:
    """Fill in what differs; refuse what would lock the operator out."""
    params = change.params
    check_sources(change)
    known_user = True
    try:
        pwd.getpwnam(params["user"])
    except KeyError:
        known_user = False
    if not known_user and not change.module.check_mode:
        raise RefusedError(f"The operator's user {params['user']} does not exist.")
    drop_in = sshd_text(change)
    if known_user:
        check_login(change, drop_in)
        want_keys(change)
    change.want(Path(params["sshd_path"]), drop_in, 0o600)
    want_firewall(change)
    for path, (_, text) in change.files.items():
        if path.parent == UFW and installed("iptables-restore"):
            check_rules(path, text)
    change.want(Path(params["fail2ban_path"]), jail_text(change), 0o644)
    change.jail += unit_deviations("fail2ban.service")


def must(*argv: str) -> str:
    """Run a command that has to succeed."""
    code: int
    output: str
    code, output = run(*argv)
    if code != 0:
        raise FailedError(f"`{' '.join(argv)}` failed: {output.strip()}")
    return output


def arm(change: Change) -> list[str]:
    """Keep the snapshot, then start the timer and enable the unit that restore it; return what is kept."""
    params = change.params
    account = pwd.getpwnam(params["user"])
    paths = [
        str(SSHD_CONFIG),
        "/etc/ssh/sshd_config.d",
        str(UFW),
        str(UFW_DEFAULTS),
        "/etc/fail2ban/jail.d",
        "/etc/sudoers.d",
        str(Path(account.pw_dir, ".ssh/authorized_keys")),
    ]
    script = access_restore.SCRIPT
    access_restore.STATE.mkdir(mode=0o700, parents=True, exist_ok=True)
    access_restore.write(script, inspect.getsource(access_restore), 0o700)
    access_restore.write(
        access_restore.BOOT_UNIT,
        f"""# Made by hbot.infra while a change of access is not confirmed yet; gone afterwards.
[Unit]
Description=Undo an access change that was not confirmed before the reboot
DefaultDependencies=no
After=local-fs.target
Before=ufw.service ssh.service ssh.socket sshd.service fail2ban.service
ConditionPathExists={access_restore.ARMED}

[Service]
Type=oneshot
ExecStart={sys.executable} {script} boot

[Install]
WantedBy=sysinit.target
""",
        0o644,
    )
    access_restore.BOOT_WANTS.parent.mkdir(exist_ok=True)
    access_restore.BOOT_WANTS.unlink(missing_ok=True)
    access_restore.BOOT_WANTS.symlink_to(access_restore.BOOT_UNIT)
    access_restore.take(paths, params["seconds"], change.operator)
    run("systemctl", "reset-failed", f"{access_restore.TIMER}.service")
    must(
        "systemd-run", "--quiet", "--collect", f"--unit={access_restore.TIMER}", f"--on-active={params['seconds']}",
        "--timer-property=AccuracySec=1s", "--description=Undo an access change that nobody confirmed",
        sys.executable, str(script), "now",
    )  # fmt: skip
    return paths


def listening(pid: str) -> set[str]:
    """The sockets on which a process takes connections, by inode."""
    tables = [Path("/proc/net/tcp"), Path("/proc/net/tcp6")]
    rows = [line.split() for table in tables if table.exists() for line in table.read_text().splitlines()[1:]]
    held = set()
    with contextlib.suppress(FileNotFoundError):  # it closes them while they are looked at
        for place in Path(f"/proc/{pid}/fd").iterdir():
            held.add(str(place.readlink()))
    return {row[9] for row in rows if row[3] == LISTENS and f"socket:[{row[9]}]" in held}


def reload_sshd() -> None:
    """Have sshd read its configuration, and wait until it takes connections again.

    It starts itself anew to do so, and refuses meanwhile whoever is to prove the change. Where systemd listens for it,
    nothing is refused.
    """
    pid = run("systemctl", "show", "--value", "--property=MainPID", "ssh.service")[1].strip()
    before = listening(pid)
    must("systemctl", "reload", "ssh.service")
    if run("systemctl", "is-active", "--quiet", "ssh.socket")[0] == 0:
        return
    deadline = time.monotonic() + LISTENS_WITHIN_S
    while listening(pid) in (set(), before) and time.monotonic() < deadline:
        time.sleep(0.05)


def apply(change: Change) -> None:
    """Change keys, firewall, sshd and fail2ban, in this order: allow before deny before enable."""
    params = change.params
    account = pwd.getpwnam(params["user"])
    for path in change.files:
        if path.is_relative_to(account.pw_dir):
            path.parent.mkdir(mode=0o700, exist_ok=True)
            os.chown(path.parent, account.pw_uid, account.pw_gid)
            put(change, path)
            os.chown(path, account.pw_uid, account.pw_gid)

    for rule in change.rules_missing:
        must("ufw", *rule.split())
    for rule in change.rules_surplus:
        must("ufw", "--force", "delete", *re.sub(r" comment '.*'$", "", rule).split())
    firewall = [path for path in change.files if path.parent == UFW or path == UFW_DEFAULTS]
    for path in firewall:
        put(change, path)
    if firewall or change.rules_missing or change.rules_surplus or change.firewall:
        must("systemctl", "enable", "--quiet", "ufw.service")
        forget_loose_chains()
        must("ufw", "--force", "enable")
        if firewall or change.firewall:
            must("ufw", "reload")
        # The rules are loaded; the unit learns of it at the next boot only, and until then calls itself inactive.
        must("systemctl", "start", "ufw.service")

    drop_in = Path(params["sshd_path"])
    if drop_in in change.files:
        put(change, drop_in)
        must(SSHD, "-t")
        if run("systemctl", "is-active", "--quiet", "ssh.service")[0] == 0:
            reload_sshd()

    jail = Path(params["fail2ban_path"])
    if jail in change.files or change.jail:
        if jail in change.files:
            put(change, jail)
        must("fail2ban-client", "-t")
        must("systemctl", "enable", "--quiet", "fail2ban.service")
        must("systemctl", "restart", "fail2ban.service")


def put(change: Change, path: Path) -> None:
    """Put a wanted file in place."""
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    access_restore.write(path, change.files[path][1], change.modes[path])
    path.chmod(change.modes[path])


def await_disarmed(seconds: int) -> bool:
    """Wait until no transaction is armed; False when one still is after so many seconds."""
    deadline = time.monotonic() + seconds
    while access_restore.ARMED.exists():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.5)
    with access_restore.exclusive():
        return True


def undone() -> dict[str, Any]:
    """Return what the last restore put back; empty when none has run since the last transaction began."""
    if not access_restore.REPORT.exists():
        return {}
    report: dict[str, Any] = json.loads(access_restore.REPORT.read_text(encoding="utf-8"))
    return report


def differing(one: dict[str, str], other: dict[str, str]) -> list[str]:
    """Name the files that two fingerprints do not agree about."""
    return sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))


def refuse_foreign(names: list[str]) -> None:
    """Fail if somebody else changed files meanwhile: what they do to the next login has not been proved."""
    if names:
        raise FailedError(f"Something else changed {', '.join(names)} during the change of access.")


def stop_timer() -> None:
    """Stop the timer (not a restore that has started: that one ends by itself)."""
    run("systemctl", "stop", f"{access_restore.TIMER}.timer")


def begin(module: AnsibleModule) -> None:
    """Compare, arm, change."""
    change = Change(module, operator_address())
    if not module.check_mode and access_restore.ARMED.exists():
        # Another controller's, or one whose controller died: its own timer undoes it.
        timer = run("systemctl", "is-active", "--quiet", f"{access_restore.TIMER}.timer")[0] == 0
        if not (timer and await_disarmed(module.params["seconds"] + 30)):
            with access_restore.exclusive():
                if access_restore.ARMED.exists():
                    access_restore.restore("now")
    try:
        compare(change)
    except RefusedError as refused:
        module.fail_json(msg=str(refused))
    sentences = change.sentences()
    result = {"changed": bool(sentences), "changes": sentences, "diff": change.diff()}
    if sentences and not module.check_mode:
        try:
            paths = arm(change)
            apply(change)
            before = access_restore.fingerprints(paths, access_restore.SNAPSHOT)
            after = access_restore.fingerprints(paths)
            own = {str(path) for path in change.files} | {name for name in after if Path(name).parent == UFW}
            refuse_foreign([name for name in differing(before, after) if name not in own])
            access_restore.write(access_restore.APPLIED, json.dumps(after))
        except (FailedError, OSError) as failed:
            stop_timer()
            with access_restore.exclusive():
                report = access_restore.restore("now") if access_restore.ARMED.exists() else undone()
            module.fail_json(msg=f"{failed} Everything was put back: {', '.join(report.get('files', []))}", **result)
    module.exit_json(**result)


def commit(module: AnsibleModule) -> None:
    """Keep the change, unless the host has undone it or somebody else has changed something since."""
    with access_restore.exclusive():
        if not access_restore.ARMED.exists():
            module.fail_json(msg="The change was undone before it could be confirmed.", undone=undone())
        paths = json.loads(access_restore.ARMED.read_text(encoding="utf-8"))["paths"]
        applied = (
            json.loads(access_restore.APPLIED.read_text(encoding="utf-8")) if access_restore.APPLIED.exists() else {}
        )
        try:
            refuse_foreign(differing(applied, access_restore.fingerprints(paths)))
        except FailedError as failed:
            module.fail_json(msg=str(failed))
        access_restore.disarm()
    stop_timer()
    run("systemctl", "daemon-reload")
    module.exit_json(changed=False)


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["begun", "committed", "undone"], "required": True},
            "seconds": {"type": "int", "default": 60},
            "user": {"type": "str"},
            "authorized_keys": {"type": "list", "elements": "str", "default": [], "no_log": False},
            "ssh_port": {"type": "int", "default": 22},
            "ssh_sources": {"type": "list", "elements": "str", "default": []},
            "never_ban": {"type": "list", "elements": "str", "default": []},
            "sshd_path": {"type": "path", "default": "/etc/ssh/sshd_config.d/00-hbot.conf"},
            "sshd_settings": {"type": "dict", "default": {}},
            "sshd_settings_if_known": {"type": "dict", "default": {}},
            "sshd_algorithms": {"type": "dict", "default": {}},
            "ufw_rules": {"type": "list", "elements": "str", "default": []},
            "ufw_blocks": {"type": "dict", "default": {}},
            "fail2ban_path": {"type": "path", "default": "/etc/fail2ban/jail.d/zz-hbot.local"},
            "fail2ban_jail": {"type": "dict", "default": {}},
        },
        required_if=[("state", "begun", ["user"])],
        supports_check_mode=True,
    )
    if module.params["state"] == "begun":
        begin(module)
    elif module.params["state"] == "committed":
        commit(module)
    elif not await_disarmed(module.params["seconds"]):
        module.fail_json(msg=f"Still armed after {module.params['seconds']} s: see `systemctl list-timers` there.")
    else:
        module.exit_json(changed=False, undone=undone())


if __name__ == "__main__":
    main()
