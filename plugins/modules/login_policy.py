#!/usr/bin/python
# Copyright: hbot.infra maintainers. Not for redistribution.
"""Make passwords, su and new accounts follow a policy, and take it back if it would shut the operator out."""
# ruff: noqa: E402 (Ansible wants the documentation ahead of the imports)

from __future__ import annotations

DOCUMENTATION = r"""
module: login_policy
short_description: PAM's profiles, who may use su, and login.defs
description:
  - Writes profiles for C(pam-auth-update), enables them, lets only the members of a group use C(su), and sets keys of
    C(/etc/login.defs).
  - All of it is changed together. If the operator could become root by C(sudo) without a password before and cannot
    afterwards, every file is put back and the module fails.
version_added: 0.1.0
options:
  pam_profiles:
    description: By name, the text of the profiles that are enabled, as pam-auth-update(8) describes it.
    type: dict
    required: true
  su_group:
    description: The group whose members may use C(su). It is made, without members, when it is missing.
    type: str
    required: true
  umask:
    description: In octal, what C(UMASK) of C(/etc/login.defs) and C(/etc/bash.bashrc) set.
    type: str
    required: true
  login_defs:
    description: Further keys of C(/etc/login.defs) and their values.
    type: dict
    required: true
  operator:
    description: The user who must still become root. One that does not exist yet is not asked.
    type: str
    required: true
attributes:
  check_mode:
    support: full
    description: Reports what would change.
  diff_mode:
    support: full
    description: Every file that changes, and the names of the profiles that are enabled.
author: hbot.infra maintainers
"""

EXAMPLES = r"""
- name: Passwords, su and new accounts follow the policy
  hbot.infra.login_policy:
    pam_profiles:
      lock: |
        Name: Lock an account after wrong passwords
        Default: yes
        Priority: 0
        Auth-Type: Primary
        Auth:
          [default=die] pam_faillock.so authfail
    su_group: sugroup
    umask: "027"
    login_defs: {PASS_MIN_DAYS: "1"}
    operator: ops
"""

RETURN = r""" # """

import grp
import re
import shutil
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

ETC = Path("/etc")
PROFILES = Path("/usr/share/pam-configs")
COMMON = ("common-account", "common-auth", "common-password", "common-session", "common-session-noninteractive")
PAM_LINE = re.compile(r"(\[[^]]*\]|\w+)\s+(?P<rule>pam_\w+\.so.*)")


def rules(text: str) -> set[str]:
    """The modules with their arguments that a profile, or a file of PAM's, names; white space does not count."""
    found = (PAM_LINE.search(line) for line in text.splitlines() if not line.lstrip().startswith("#"))
    return {" ".join(match["rule"].split()) for match in found if match}


def disabled(profiles: dict[str, str], common: str) -> list[str]:
    """The profiles of which a rule is missing in PAM's common files."""
    there = rules(common)
    return sorted(name for name, text in profiles.items() if not rules(text) <= there)


def su_restricted(text: str, group: str) -> str:
    """PAM's file for su, with the one line that lets only a group's members use it behind root's own."""
    line = f"auth       required   pam_wheel.so use_uid group={group}"
    kept = [old for old in text.splitlines() if not re.match(r"auth\s+required\s+pam_wheel\.so", old)]
    after_root = [number for number, old in enumerate(kept) if re.match(r"auth\s+sufficient\s+pam_rootok\.so", old)]
    kept.insert(after_root[0] + 1 if after_root else 0, line)
    return "\n".join(kept) + "\n"


def with_keys(text: str, keys: dict[str, str]) -> str:
    """login.defs with some keys set: where they stand last, which is the one that counts, or at the end."""
    lines = text.splitlines()
    for key, value in keys.items():
        places = [number for number, line in enumerate(lines) if re.match(rf"\s*{re.escape(key)}\s", line)]
        if not places:
            lines.append(f"{key}\t{value}")
            continue
        if lines[places[-1]].split()[1:2] != [value]:
            lines[places[-1]] = f"{key}\t{value}"
        lines = [line for number, line in enumerate(lines) if number not in places[:-1]]
    return "\n".join(lines) + "\n"


def with_umask(text: str, umask: str) -> str:
    """A shell's file that sets the umask once."""
    kept = [line for line in text.splitlines() if not re.match(r"\s*umask\s", line)]
    return "\n".join([*kept, f"umask {umask}"]) + "\n"


class Policy:
    """What is there, and what must be.

    Args:
        module: the running module, with its parameters.
    """

    def __init__(self, module: AnsibleModule) -> None:
        self._module = module
        self._profiles: dict[str, str] = module.params["pam_profiles"]
        group = module.params["su_group"]
        su, login_defs = ETC / "pam.d/su", ETC / "login.defs"
        files = {PROFILES / name: text for name, text in self._profiles.items()}
        files[su] = su_restricted(_read(su), group)
        umask, bashrc = module.params["umask"], ETC / "bash.bashrc"
        files[login_defs] = with_keys(_read(login_defs), {"UMASK": umask, **module.params["login_defs"]})
        files[bashrc] = with_umask(_read(bashrc), umask)
        self._files = {path: text for path, text in files.items() if _read(path) != text}
        self._enable = disabled(self._profiles, self._common())
        self._group = None if _exists(group) else group
        self._before = {path: _read(path) for path in [*files, *(ETC / "pam.d" / name for name in COMMON)]}

    def diff(self) -> list[dict[str, str]]:
        """What would change, by file."""
        changes = [
            {"before_header": str(path), "after_header": str(path), "before": _read(path), "after": text}
            for path, text in self._files.items()
        ]
        words = [f"pam-auth-update --enable {name}\n" for name in self._enable]
        words += [f"groupadd --system {self._group}\n"] if self._group else []
        if words:
            changes.append({"before_header": "PAM", "after_header": "PAM", "before": "", "after": "".join(words)})
        return changes

    def apply(self) -> None:
        """Make it so, or leave everything as it was and fail."""
        trusted = self._operator_becomes_root()
        if self._group:
            self._module.run_command(["groupadd", "--system", self._group], check_rc=True)
        try:
            self._write()
            complaint = self._complaint(trusted)
        except BaseException:
            self._restore()
            raise
        if complaint:
            self._restore()
            self._module.fail_json(msg=f"{complaint}. Everything was put back.")

    def _complaint(self, trusted: bool) -> str:
        left = disabled(self._profiles, self._common())
        if left:
            return (
                f"pam-auth-update did not enable {', '.join(left)}: somebody edited /etc/pam.d/common-* by hand. "
                "Fix: move the edit elsewhere, and run `pam-auth-update --force` once"
            )
        if trusted and not self._operator_becomes_root():
            return f"{self._module.params['operator']} could not become root any more"
        return ""

    def _write(self) -> None:
        PROFILES.mkdir(exist_ok=True)
        for path, text in self._files.items():
            _replace(path, text)
        rewritten = [name for name in self._profiles if PROFILES / name in self._files]
        if rewritten or self._enable:
            self._module.run_command(
                ["pam-auth-update", "--package", "--enable", *sorted({*rewritten, *self._enable})],
                check_rc=True,
                environ_update={"DEBIAN_FRONTEND": "noninteractive"},
            )

    def _restore(self) -> None:
        for path, text in self._before.items():
            if text:
                _replace(path, text)
            else:
                path.unlink(missing_ok=True)

    def _common(self) -> str:
        return "".join(_read(ETC / "pam.d" / name) for name in COMMON)

    def _operator_becomes_root(self) -> bool:
        command = ["runuser", "-u", self._module.params["operator"], "--", "sudo", "-n", "true"]
        code, _, _ = self._module.run_command(command)
        return bool(code == 0)


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""


def _replace(path: Path, text: str) -> None:
    """Put a file in place by rename, with the mode that it had."""
    scratch = path.with_name(f".{path.name}.hbot")
    scratch.write_text(text, encoding="utf-8")
    if path.exists():
        shutil.copystat(path, scratch)
    else:
        scratch.chmod(0o644)
    scratch.replace(path)


def _exists(group: str) -> bool:
    try:
        grp.getgrnam(group)
    except KeyError:
        return False
    return True


def main() -> None:
    """Run the module."""
    specification: dict[str, dict[str, Any]] = {
        "pam_profiles": {"type": "dict", "required": True},
        "su_group": {"type": "str", "required": True},
        "umask": {"type": "str", "required": True},
        "login_defs": {"type": "dict", "required": True},
        "operator": {"type": "str", "required": True},
    }
    module = AnsibleModule(argument_spec=specification, supports_check_mode=True)
    policy = Policy(module)
    diff = policy.diff()
    if diff and not module.check_mode:
        policy.apply()
    module.exit_json(changed=bool(diff), diff=diff)


if __name__ == "__main__":
    main()
