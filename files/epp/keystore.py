"""Write Hummingbot's encrypted keystore with Hummingbot's own code.

Run inside the bot image, with ``conf`` mounted, as ``python /home/hummingbot/controllers/epp/keystore.py``. The secrets
come as one JSON object on standard input, never as arguments or environment::

    {"connector": "bitget", "password": "…", "keys": {"api_key": "…", "secret_key": "…", "passphrase": "…"},
     "replace": true}

It writes ``conf/.password_verification`` and ``conf/connectors/<connector>.yml`` (mode 0600), reads both back with the
password, and only then puts them in the place of the old ones: if anything fails, the old keystore is as it was. A
keystore that already holds these very secrets is left alone, since salts make two writings of the same secrets differ;
one that holds others stays when ``replace`` is false, and that is an error.
One line of JSON on standard output says what happened, without a secret; the exit code is 0, 2 for bad input, 1 for
anything else.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

HOME = Path(__file__).resolve().parents[2]

_BACKUP_NAME = ".keystore-before"


class InputError(Exception):
    """The JSON on standard input is not what is needed; the message names the field, never its value."""


@dataclass(frozen=True)
class Secrets:
    """One connector's credentials and the password that locks them."""

    connector: str
    password: str
    keys: dict[str, str]
    replace: bool = True
    """Whether a keystore with other secrets may be replaced."""


def parse(text: str) -> Secrets:
    """Check the input.

    Raises:
        InputError: a field is missing, empty or of the wrong type.
    """
    try:
        given = json.loads(text)
    except ValueError:
        raise InputError("standard input is not JSON") from None
    if not isinstance(given, dict):
        raise InputError("standard input is not a JSON object")
    for field in ("connector", "password"):
        if not isinstance(given.get(field), str) or not given[field]:
            raise InputError(f"field {field!r} is missing or empty")
    if "\n" in given["password"]:
        raise InputError("field 'password' must be one line: Hummingbot reads it as one")
    if not given["connector"].replace("_", "").isalnum():
        raise InputError("field 'connector' is not a connector's name")
    keys = given.get("keys")
    if not isinstance(keys, dict) or not keys:
        raise InputError("field 'keys' is missing or empty")
    for name, value in keys.items():
        if not isinstance(value, str) or not value:
            raise InputError(f"field 'keys.{name}' is empty")
    if not isinstance(given.get("replace", True), bool):
        raise InputError("field 'replace' is neither true nor false")
    return Secrets(given["connector"], given["password"], dict(keys), given.get("replace", True))


class Keystore:
    """Hummingbot's keystore below one ``conf`` directory."""

    def __init__(self, conf: Path) -> None:
        self.conf = conf
        self.verification = conf / ".password_verification"
        self.connectors = conf / "connectors"
        self._backup = conf / _BACKUP_NAME

    def recover(self) -> None:
        """Undo a replacement that was killed half way."""
        if not self._backup.is_dir():
            return
        if (self._backup / "complete").exists():
            self._restore()
        shutil.rmtree(self._backup)

    def password_opens(self, password: str) -> bool:
        """Whether the existing keystore opens with ``password``."""
        from hummingbot.client.config.config_crypt import (
            PASSWORD_VERIFICATION_WORD,
            ETHKeyFileSecretManger,
        )

        if not self.verification.exists():
            return False
        try:
            word = ETHKeyFileSecretManger(password).decrypt_secret_value(
                PASSWORD_VERIFICATION_WORD, self.verification.read_text(encoding="ascii").strip()
            )
        except (ValueError, KeyError, TypeError):
            return False  # another password, or not a keystore at all
        return bool(word == PASSWORD_VERIFICATION_WORD)

    def read(self, connector: str, directory: Path | None = None) -> dict[str, str]:
        """Decrypt one connector's file with the password of the current login."""
        from hummingbot.client.config.config_helpers import (
            api_keys_from_connector_config_map,
            load_connector_config_map_from_file,
        )

        path = (directory or self.connectors) / f"{connector}.yml"
        return dict(api_keys_from_connector_config_map(load_connector_config_map_from_file(path)))

    def write(self, secrets: Secrets) -> dict[str, object]:
        """Bring the keystore to ``secrets`` and say what was done.

        Raises:
            InputError: Hummingbot knows no such connector, it wants other keys, or what is there may not be replaced.
        """
        from hummingbot.client.config.config_crypt import PASSWORD_VERIFICATION_WORD, ETHKeyFileSecretManger
        from hummingbot.client.config.config_helpers import ClientConfigAdapter
        from hummingbot.client.config.security import Security
        from hummingbot.client.settings import AllConnectorSettings

        if secrets.connector not in AllConnectorSettings.get_connector_settings():
            raise InputError(f"Hummingbot has no connector {secrets.connector!r}")
        config_class = type(AllConnectorSettings.get_connector_config_keys(secrets.connector))
        fields = {f"{secrets.connector}_{name}": value for name, value in secrets.keys.items()}
        wanted = set(config_class.model_fields) - {"connector"}
        if set(fields) != wanted:
            prefix = f"{secrets.connector}_"
            raise InputError(
                f"{secrets.connector} needs the keys {', '.join(sorted(name.removeprefix(prefix) for name in wanted))}"
            )

        self.recover()
        manager = ETHKeyFileSecretManger(secrets.password)
        Security.secrets_manager = manager
        same_password = self.password_opens(secrets.password)
        if same_password and self._holds(secrets.connector, fields):
            self._tighten()
            return {"changed": False, "connector": secrets.connector}
        there = [path for path in (self.verification, self.connectors / f"{secrets.connector}.yml") if path.exists()]
        if there and not secrets.replace:
            raise InputError(
                f"{' and '.join(path.name for path in there)} hold other secrets or another password, and nobody knows "
                "who wrote them: nothing was overwritten. Remove them, and run this again"
            )

        with tempfile.TemporaryDirectory(prefix=".keystore-new-", dir=self.conf) as scratch:
            new = Path(scratch)
            _write(
                new / "password_verification",
                manager.encrypt_secret_value(PASSWORD_VERIFICATION_WORD, PASSWORD_VERIFICATION_WORD),
            )
            adapter = ClientConfigAdapter(config_class(**fields))
            _write(new / f"{secrets.connector}.yml", adapter.generate_yml_output_str_with_comments())
            if self.read(secrets.connector, new) != fields:
                raise RuntimeError("the new keystore does not read back")
            dropped = [] if same_password else self._others(secrets.connector)
            self._replace(new, secrets.connector, dropped, keep_verification=same_password)
        return {
            "changed": True,
            "connector": secrets.connector,
            "password_changed": not same_password,
            # They were locked with the old password: Hummingbot would refuse to start with them there.
            "dropped": [path.stem for path in dropped],
        }

    def _holds(self, connector: str, fields: dict[str, str]) -> bool:
        try:
            return self.read(connector) == fields
        except (OSError, ValueError, KeyError, TypeError):
            return False

    def _others(self, connector: str) -> list[Path]:
        return [path for path in sorted(self.connectors.glob("[!._]*")) if path.name != f"{connector}.yml"]

    def _tighten(self) -> None:
        for path in (self.verification, *self.connectors.glob("[!._]*.yml")):
            path.chmod(0o600)

    def _replace(self, new: Path, connector: str, dropped: list[Path], *, keep_verification: bool) -> None:
        self.connectors.mkdir(mode=0o700, exist_ok=True)
        self._keep(connector)
        try:
            (new / f"{connector}.yml").replace(self.connectors / f"{connector}.yml")
            for path in dropped:
                path.unlink()
            if not keep_verification:
                (new / "password_verification").replace(self.verification)
            _sync_directory(self.connectors)
            _sync_directory(self.conf)
            self._tighten()
        except BaseException:
            self._restore()
            raise
        finally:
            shutil.rmtree(self._backup)

    def _keep(self, connector: str) -> None:
        """Copy the present keystore aside; it counts only once the mark ``complete`` is there."""
        self._backup.mkdir(mode=0o700)
        for path in (self.verification, self.connectors / f"{connector}.yml", *self._others(connector)):
            if path.exists():
                shutil.copy2(path, self._backup / path.name)
        (self._backup / "new").write_text(connector, encoding="utf-8")
        (self._backup / "complete").touch()
        _sync_directory(self._backup)

    def _restore(self) -> None:
        connector = (self._backup / "new").read_text(encoding="utf-8")
        (self.connectors / f"{connector}.yml").unlink(missing_ok=True)
        self.verification.unlink(missing_ok=True)
        for path in self._backup.iterdir():
            if path.name == self.verification.name:
                shutil.copy2(path, self.verification)
            elif path.name not in {"new", "complete"}:
                shutil.copy2(path, self.connectors / path.name)


def _write(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def main() -> int:
    """Read standard input, write the keystore, print one line of JSON."""
    # This file's own directory would shadow Hummingbot's `scripts` and hide the package.
    sys.path[0] = str(HOME)
    os.umask(0o077)
    try:
        secrets = parse(sys.stdin.read())
        asyncio.set_event_loop(asyncio.new_event_loop())  # Security makes an asyncio.Event when it is imported
        from hummingbot.client.settings import CONF_DIR_PATH

        done = Keystore(Path(CONF_DIR_PATH)).write(secrets)
    except InputError as error:
        print(json.dumps({"error": str(error)}))
        return 2
    except Exception as error:  # a traceback could carry a secret in its values
        print(json.dumps({"error": f"{type(error).__name__}: the keystore was not written; the old one is in place"}))
        return 1
    print(json.dumps(done))
    return 0


if __name__ == "__main__":
    sys.exit(main())
