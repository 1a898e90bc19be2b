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
  - A keystore that somebody changed by hand is named and not overwritten.
  - A paper bot's keys are made here and begin with C(paper_). The vault's own key is not used on paper, and a key of a
    paper exchange not live.
  - A live bot is refused unless C(env/<bot>/golive.json), which only the go-live gate writes, is there for exactly what
    is deployed, and holds still.
options:
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
  strategy:
    description: The directory on the host with the strategy's package, of which C(keystore.py) is run.
    type: path
    required: true
  strategy_hash:
    description: Of the code that is deployed. A live bot's must be what the go-live gate let through.
    type: str
    default: ""
  config_hash:
    description: Of the configuration that is deployed, the same.
    type: str
    default: ""
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
extends_documentation_fragment: [hbot.infra.isolated_run]
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
traded_with_money:
  description: Whether the bot, which is to be on paper, has to leave the market first. Nothing was done then.
  returned: always
  type: bool
  sample: false
"""

import hashlib
import hmac
import json
import secrets
import time
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.hbot.infra.plugins.module_utils import golive_marks, host_files
from ansible_collections.hbot.infra.plugins.module_utils.isolated_run import OPTIONS, IsolatedRun

# What `strategies/<hash>/epp/keystore.py` calls a connector's three keys, and what the inventory calls them.
KEYS = {"api_key": "api_key", "secret_key": "api_secret", "passphrase": "api_passphrase"}

HOME = "/home/hummingbot"

PAPER_KEY = golive_marks.PAPER_KEY


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
        root = self.root = Path(params["root"])
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
        return found if usable else {"salt": secrets.token_hex(32), "fingerprint": None, "files": None}

    def refuse_what_was_changed_by_hand(self, record: dict[str, Any], files: dict[str, str | None]) -> None:
        """A keystore that is not as it was left may hold the only copy of something: it is named, not overwritten."""
        if record["files"] is None or record.get("cut_short"):
            return  # nobody knows how it was left: keystore.py compares what is in it
        changed = [
            str(self.conf / name)
            for name, digest in files.items()
            if digest is not None and record["files"].get(name) not in (None, digest)
        ]
        if changed:
            raise KeystoreError(
                f"{', '.join(changed)} {'was' if len(changed) == 1 else 'were'} changed by hand since the last run, "
                "and nothing was overwritten. What is in it belongs into the vault of the inventory; then remove "
                f"{'it' if len(changed) == 1 else 'them'}, and run this again"
            )

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
        paper_key = given.get("api_key", "").startswith(PAPER_KEY)
        if params["mode"] == "live":
            missing = [f"bot_{option}" for key, option in KEYS.items() if key not in given]
            missing += [] if password else ["bot_password"]
            if missing:
                raise KeystoreError(
                    f"{self.bot} is live and has no {', '.join(missing)}: put them into host_vars/{self.bot}/vault.yml"
                )
            rehearsal = (golive_marks.whole(self.root, self.bot) or {}).get("profile") == "rehearsal"
            if paper_key != rehearsal:
                raise KeystoreError(
                    f"{self.bot} is live and bot_api_key was made for a paper exchange ({PAPER_KEY}…): put the "
                    f"exchange's own into host_vars/{self.bot}/vault.yml"
                    if paper_key
                    else f"{self.bot} passed the gate for a rehearsal, which no key of the exchange may take part in"
                )
            return password, given
        there = self.credentials()
        if given and not paper_key and there.get("api_key") == given.get("api_key"):
            raise KeystoreError(
                f"{self.bot} is on paper, and {self.credentials_file} holds the exchange's own key: a live key has no "
                "business with a paper exchange. Remove that file, and run this again"
            )
        if not paper_key:
            # The vault may hold the live key already: it waits there until the bot goes live.
            given = {}
        if not there.get("api_key", "").startswith(PAPER_KEY):
            there = {}
        made = {
            "api_key": f"{PAPER_KEY}{secrets.token_hex(16)}",
            "secret_key": secrets.token_hex(32),
            "passphrase": secrets.token_hex(12),
        }
        kept = (host_files.read(self.password_file) or b"").decode(errors="replace").rstrip("\n")
        password = password or kept or secrets.token_urlsafe(24)
        keys = made | there | given
        self.module.no_log_values.update([password, keys["secret_key"], keys["passphrase"]])
        return password, keys

    def require_gate(self) -> None:
        """A live bot needs the go-live gate's own mark on this host, for what is deployed now."""
        params = self.module.params
        if params["mode"] != "live":
            return
        try:
            mark = golive_marks.whole(self.root, self.bot)
        except golive_marks.MarkError as error:
            raise KeystoreError(f"{error}. Nothing was changed") from None
        wrong = golive_marks.objection(mark, params["strategy_hash"], params["config_hash"], time.time())
        if wrong:
            raise KeystoreError(
                f"{self.bot} has bot_mode: live, but {wrong} ({self.env}/golive.json). Nothing was "
                "changed. Set bot_mode: paper in the bot's inventory file, or run golive.yml."
            )

    @property
    def traded_with_money(self) -> bool:
        """Whether a bot that is to be on paper has the go-live gate's mark still."""
        mark = golive_marks.path_of(self.root, self.bot)
        return self.module.params["mode"] == "paper" and host_files.read(mark) is not None

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
        if self.traded_with_money:
            # Its keystore is what can still cancel its orders.
            return False, ""
        record = self.record()
        password, keys = self.wanted()
        fingerprint = self.fingerprint(record["salt"], password, keys)
        files = self.files()
        self.refuse_what_was_changed_by_hand(record, files)
        stale = record["fingerprint"] != fingerprint or record["files"] != files or None in files.values()
        if stale:
            state = "missing" if None in files.values() else "other secrets"
            self.note(self.conf / f"connectors/{self.connector}.yml", state, "written anew from the wanted secrets")
        self.put_directories()
        if stale and not self.module.check_mode:
            unknown = record["files"] is None
            if not unknown:
                # Until the record is written anew, the files are nobody's handiwork but this run's.
                self.write_record(record | {"cut_short": True})
            self.encrypt(password, keys, replace=not unknown)
        # After the keystore: should that fail, a bot that is started meanwhile still has the password of the old one.
        self.put(self.password_file, f"{password}\n".encode())
        if self.module.params["mode"] == "paper":
            self.put(self.credentials_file, (json.dumps(keys, indent=2, sort_keys=True) + "\n").encode())
        if stale and not self.module.check_mode:
            # Last, so that a run that was cut short is repeated.
            self.write_record({"salt": record["salt"], "fingerprint": fingerprint, "files": self.files()})
        return bool(self.after), fingerprint[:16]

    def write_record(self, record: dict[str, Any]) -> None:
        """Keeps how the keystore was left."""
        host_files.write(self.record_file, (json.dumps(record, indent=2) + "\n").encode(), 0o600, *self.owner)

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

    def encrypt(self, password: str, keys: dict[str, str], *, replace: bool) -> None:
        """Lets Hummingbot's own code, in the bot's image, write the keystore; what is there, only if it may."""
        params = self.module.params
        answer = IsolatedRun(
            image=params["image"],
            user=f"{self.owner[0]}:{self.owner[1]}",
            label=f"hbot.keystore-of={self.bot}",
            mounts={f"{HOME}/controllers/epp": params["strategy"]},
            writable={f"{HOME}/conf": str(self.conf)},
            # Hummingbot makes these two when it is imported; what it leaves there is of no use.
            scratch=(f"{HOME}/logs", f"{HOME}/data"),
            directory=HOME,
        ).ask(
            self.module,
            [f"{HOME}/controllers/epp/keystore.py"],
            {"connector": self.connector, "password": password, "keys": keys, "replace": replace},
        )
        if answer.code != 0:
            raise KeystoreError(f"{self.bot}: the keystore could not be written: {answer.error}")


def main() -> None:
    """Runs the module."""
    module = AnsibleModule(
        argument_spec={
            **OPTIONS,
            "mode": {"type": "str", "choices": ["paper", "live"], "required": True},
            "connector": {"type": "str", "required": True},
            "strategy": {"type": "path", "required": True},
            "strategy_hash": {"type": "str", "default": ""},
            "config_hash": {"type": "str", "default": ""},
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
    result: dict[str, Any] = {"fingerprint": fingerprint, "traded_with_money": keystore.traded_with_money}
    if module._diff:
        result["diff"] = {"before": "".join(f"{line}\n" for line in keystore.before)}
        result["diff"]["after"] = "".join(f"{line}\n" for line in keystore.after)
    module.exit_json(changed=changed, **result)


if __name__ == "__main__":
    main()
