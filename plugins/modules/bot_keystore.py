#!/usr/bin/python
# Copyright: hbot.infra maintainers. Not for redistribution.
"""Keep a bot's password, its API credentials and Hummingbot's keystore of them in agreement."""
# ruff: noqa: E402 (Ansible wants the documentation ahead of the imports)

from __future__ import annotations

DOCUMENTATION = r"""
module: bot_keystore
short_description: Keeps a bot's password, API credentials and Hummingbot keystore
version_added: 0.1.0
description:
  - Keeps C(env/<bot>/password), C(data/<bot>/conf/.password_verification) and
    C(data/<bot>/conf/connectors/<connector>.yml) in agreement, and for a paper bot
    C(env/<bot>-exchange/credentials.json), which the paper exchange reads.
  - The keystore is written by Hummingbot's own code, in one run of the bot's image without a network, and only when the
    secrets or its files are not as they were left. Encrypting the same secrets twice gives different bytes, so they are
    compared by a salted fingerprint in C(env/<bot>/keystore.json).
  - Secrets go to that run on its standard input. They are in no command line, environment, diff or result.
  - A live bot is refused unless C(env/<bot>/golive.json) is there, which only the go-live gate writes.
options:
  root:
    description: The directory of the installation on the host.
    type: path
    required: true
  bot:
    description: The bot's name.
    type: str
    required: true
  mode:
    description:
      - For V(paper), a secret that is not given is kept as it is on the host, or made there once.
      - For V(live), all four are required.
    type: str
    choices: [paper, live]
    required: true
  connector:
    description: Hummingbot's name of the connector.
    type: str
    required: true
  image:
    description: The bot's image.
    type: str
    required: true
  strategy:
    description: The directory on the host with the strategy's package, of which C(keystore.py) is run.
    type: path
    required: true
  uid:
    description: The user that the bot runs as.
    type: int
    required: true
  gid:
    description: The group that the bot runs as.
    type: int
    required: true
  password:
    description: The password of the keystore, one line. Empty counts as not given.
    type: str
  api_key:
    description: The exchange's API key. Empty counts as not given.
    type: str
  api_secret:
    description: The API key's secret. Empty counts as not given.
    type: str
  api_passphrase:
    description: The API key's passphrase. Empty counts as not given.
    type: str
attributes:
  check_mode:
    support: full
    description: Says what would be written, without running the image.
  diff_mode:
    support: full
    description: Shows which secret changes, never to what.
author: hbot.infra maintainers
"""

EXAMPLES = r"""
- name: The bot's credentials are in its keystore
  hbot.infra.bot_keystore:
    root: /opt/hbot
    bot: bot1
    mode: paper
    connector: bitget
    image: hummingbot/hummingbot:version-2.16.0
    strategy: /opt/hbot/strategies/0f1e2d3c4b5a6978/epp
    uid: 6420
    gid: 6420
"""

RETURN = r"""
fingerprint:
  description:
    - Changes exactly when a secret does, and says nothing about it. A container that carries it as a label is made anew
      when the secrets change.
  returned: always
  type: str
  sample: 8f14e45fceea167a
"""

import hashlib
import hmac
import json
import secrets
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.hbot.infra.plugins.module_utils import host_files

# What `strategies/<hash>/epp/keystore.py` calls a connector's three keys, and what the inventory calls them.
KEYS = {"api_key": "api_key", "secret_key": "api_secret", "passphrase": "api_passphrase"}

HOME = "/home/hummingbot"


class KeystoreError(Exception):
    """What the operator must know; the message never holds a secret."""


class Keystore:
    """One bot's secrets as they are on the host and as they are wanted."""

    def __init__(self, module: AnsibleModule) -> None:
        params = module.params
        self.module = module
        self.bot: str = params["bot"]
        self.connector: str = params["connector"]
        self.owner: tuple[int, int] = (params["uid"], params["gid"])
        root = Path(params["root"])
        self.env = root / "env" / self.bot
        self.exchange_env = root / "env" / f"{self.bot}-exchange"
        self.conf = root / "data" / self.bot / "conf"
        self.password_file = self.env / "password"
        self.record_file = self.env / "keystore.json"
        self.credentials_file = self.exchange_env / "credentials.json"
        self.before: list[str] = []
        self.after: list[str] = []

    def note(self, path: Path, before: str, after: str) -> None:
        """Remembers one difference for the diff."""
        self.before.append(f"{path}: {before}")
        self.after.append(f"{path}: {after}")

    # -- what is there, what is wanted

    def record(self) -> dict[str, Any]:
        """What the last run left in keystore.json; a new salt when there is nothing usable."""
        try:
            found = json.loads(host_files.read(self.record_file) or b"null")
        except ValueError:
            found = None
        usable = isinstance(found, dict) and isinstance(found.get("salt"), str) and isinstance(found.get("files"), dict)
        return found if usable else {"salt": secrets.token_hex(32), "fingerprint": None, "files": {}}

    def credentials(self) -> dict[str, str]:
        """The paper exchange's credentials as they are; empty when missing or broken."""
        try:
            found = json.loads(host_files.read(self.credentials_file) or b"null")
        except ValueError:
            return {}
        if not isinstance(found, dict):
            return {}
        return {key: value for key, value in found.items() if key in KEYS and isinstance(value, str) and value}

    def wanted(self) -> tuple[str, dict[str, str]]:
        """The password and the keys: what is given, else (paper) what is there, else (paper) made now."""
        params = self.module.params
        given = {key: params[option] for key, option in KEYS.items() if params[option]}
        password = params["password"] or ""
        if params["mode"] == "live":
            missing = [f"bot_{option}" for key, option in KEYS.items() if key not in given]
            missing += [] if password else ["bot_password"]
            if missing:
                raise KeystoreError(
                    f"{self.bot} is live and has no {', '.join(missing)}: put them into host_vars/{self.bot}/vault.yml"
                )
            return password, given
        made = {
            "api_key": f"bg_{secrets.token_hex(16)}",
            "secret_key": secrets.token_hex(32),
            "passphrase": secrets.token_hex(12),
        }
        there = (host_files.read(self.password_file) or b"").decode(errors="replace").rstrip("\n")
        password = password or there or secrets.token_urlsafe(24)
        keys = made | self.credentials() | given
        self.module.no_log_values.update([password, keys["secret_key"], keys["passphrase"]])
        return password, keys

    def require_gate(self) -> None:
        """A live bot needs the go-live gate's own mark on this host."""
        mark = self.env / "golive.json"
        if self.module.params["mode"] == "live" and host_files.read(mark) is None:
            raise KeystoreError(
                f"{self.bot} has bot_mode: live, but {mark} is not on the VPS: only the go-live gate makes a paper bot "
                "live. Nothing was changed. Set bot_mode: paper in the bot's inventory file."
            )

    def fingerprint(self, salt: str, password: str, keys: dict[str, str]) -> str:
        """A keyed hash over everything that the keystore is made of."""
        text = json.dumps([self.connector, password, sorted(keys.items())])
        return hmac.new(bytes.fromhex(salt), text.encode(), hashlib.sha256).hexdigest()

    def files(self) -> dict[str, str | None]:
        """The keystore's files with their hashes; None for one that is missing."""
        names = (".password_verification", f"connectors/{self.connector}.yml")
        held = {name: host_files.read(self.conf / name) for name in names}
        return {name: None if data is None else hashlib.sha256(data).hexdigest() for name, data in held.items()}

    # -- change

    def converge(self) -> tuple[bool, str]:
        """Compares and, outside of check mode, writes. Returns whether anything changed, and the fingerprint."""
        self.require_gate()
        record = self.record()
        password, keys = self.wanted()
        fingerprint = self.fingerprint(record["salt"], password, keys)
        files = self.files()
        stale = record["fingerprint"] != fingerprint or record["files"] != files or None in files.values()
        if stale:
            state = "missing" if None in files.values() else "other secrets, or changed by hand"
            self.note(self.conf / f"connectors/{self.connector}.yml", state, "written anew from the wanted secrets")
        self.put_directories()
        if stale and not self.module.check_mode:
            self.encrypt(password, keys)
        # After the keystore: should that fail, a bot that is started meanwhile still has the password of the old one.
        self.put(self.password_file, f"{password}\n".encode())
        if self.module.params["mode"] == "paper":
            self.put(self.credentials_file, (json.dumps(keys, indent=2, sort_keys=True) + "\n").encode())
        if stale and not self.module.check_mode:
            left = {"salt": record["salt"], "fingerprint": fingerprint, "files": self.files()}
            # Last, so that a run that was cut short is repeated.
            host_files.write(self.record_file, (json.dumps(left, indent=2) + "\n").encode(), 0o600, *self.owner)
        return bool(self.after), fingerprint[:16]

    def put_directories(self) -> None:
        """The directories of the secrets and of the keystore; those that all bots share are there already."""
        wanted = [(self.env, 0o700)]
        if self.module.params["mode"] == "paper":
            wanted.append((self.exchange_env, 0o700))
        wanted += [(self.conf.parent, 0o750), (self.conf, 0o750), (self.conf / "connectors", 0o700)]
        uid, gid = self.owner
        for path, mode in wanted:
            if not host_files.as_wanted(path, mode, uid, gid):
                self.note(path, "missing, or another mode or owner", f"directory, mode {mode:04o}, owner {uid}:{gid}")
                if not self.module.check_mode:
                    host_files.make_directory(path, mode, uid, gid)

    def put(self, path: Path, data: bytes) -> None:
        """One secret file, 0600."""
        there = host_files.read(path)
        if there == data and host_files.as_wanted(path, 0o600, *self.owner):
            return
        state = "missing" if there is None else "other contents" if there != data else "another mode or owner"
        self.note(path, state, f"as wanted, mode 0600, owner {self.owner[0]}:{self.owner[1]}")
        if not self.module.check_mode:
            host_files.write(path, data, 0o600, *self.owner)

    def encrypt(self, password: str, keys: dict[str, str]) -> None:
        """Lets Hummingbot's own code, in the bot's image, write the keystore."""
        params = self.module.params
        command = ["docker", "run", "--rm", "--interactive", "--network=none", "--cap-drop=ALL", "--read-only"]
        command += ["--security-opt=no-new-privileges", "--memory=1g", "--pids-limit=128", "--tmpfs=/tmp"]
        command += [f"--user={self.owner[0]}:{self.owner[1]}", f"--label=hbot.keystore-of={self.bot}"]
        # Hummingbot makes these two when it is imported; what it leaves there is of no use.
        command += [
            f"--tmpfs={HOME}/logs",
            f"--tmpfs={HOME}/data",
            "--env=HOME=/tmp",
            "--env=PYTHONDONTWRITEBYTECODE=1",
        ]
        # --mount, because --volume would make a missing directory, owned by root, instead of failing.
        command.append(f"--mount=type=bind,source={self.conf},target={HOME}/conf")
        command.append(f"--mount=type=bind,source={params['strategy']},target={HOME}/controllers/epp,readonly")
        command += [params["image"], "python", f"{HOME}/controllers/epp/keystore.py"]
        given = json.dumps({"connector": self.connector, "password": password, "keys": keys})
        code, out, err = self.module.run_command(command, data=given)
        if code != 0:
            raise KeystoreError(f"{self.bot}: the keystore could not be written: {said(out) or err.strip()}")


def said(out: str) -> str:
    """The error in the last line that keystore.py printed; empty when there is none."""
    try:
        return str(json.loads(out.strip().splitlines()[-1])["error"])
    except (IndexError, KeyError, TypeError, ValueError):
        return ""


def main() -> None:
    """Runs the module."""
    module = AnsibleModule(
        argument_spec={
            "root": {"type": "path", "required": True},
            "bot": {"type": "str", "required": True},
            "mode": {"type": "str", "choices": ["paper", "live"], "required": True},
            "connector": {"type": "str", "required": True},
            "image": {"type": "str", "required": True},
            "strategy": {"type": "path", "required": True},
            "uid": {"type": "int", "required": True},
            "gid": {"type": "int", "required": True},
            "password": {"type": "str", "no_log": True},
            "api_key": {"type": "str", "no_log": True},
            "api_secret": {"type": "str", "no_log": True},
            "api_passphrase": {"type": "str", "no_log": True},
        },
        supports_check_mode=True,
    )
    keystore = Keystore(module)
    try:
        changed, fingerprint = keystore.converge()
    except KeystoreError as error:
        module.fail_json(msg=str(error), exception=None)
    except OSError as error:
        module.fail_json(msg=f"{error.filename}: {error.strerror}", exception=None)
    result: dict[str, Any] = {"fingerprint": fingerprint}
    if module._diff:
        result["diff"] = {"before": "".join(f"{line}\n" for line in keystore.before)}
        result["diff"]["after"] = "".join(f"{line}\n" for line in keystore.after)
    module.exit_json(changed=changed, **result)


if __name__ == "__main__":
    main()
