"""Bitget's request signatures, and what a key may do."""

import base64
import hmac
from collections.abc import Mapping
from ipaddress import ip_address

from ..config import Credentials, FurtherKey
from .errors import ApiError

# Bitget's newer codes and the words of older keys.
_MAY_READ = frozenset({"stor", "stow", "read", "readonly", "trade"})
_MAY_TRADE = frozenset({"stow", "trade"})


class Authenticator:
    """Knows the API keys and checks what is signed with them.

    Args:
        credentials: the keys.
        window_s: how far a timestamp may be off.
    """

    def __init__(self, credentials: Credentials, window_s: float) -> None:
        self._keys = {key.api_key: key for key in credentials.all_keys}
        self._window_ms = window_s * 1000

    def check_request(
        self, headers: Mapping[str, str], method: str, path_and_query: str, body: str, now_ms: int, peer: str | None
    ) -> FurtherKey:
        """Check a REST request; returns the key it is signed with.

        Args:
            headers: by upper-case name.
            method: in upper case.
            path_and_query: as sent.
            body: as sent.
            now_ms: the exchange's clock.
            peer: the address it comes from.

        Raises:
            ApiError: what is missing or wrong, with Bitget's code.
        """
        given = [headers.get(name, "") for name in ("ACCESS-KEY", "ACCESS-SIGN", "ACCESS-TIMESTAMP")]
        for value, code, name in zip(given, ("40001", "40002", "40003"), ("KEY", "SIGN", "TIMESTAMP"), strict=True):
            if not value:
                raise ApiError(code, f"ACCESS_{name} cannot be empty")
        name, signature, timestamp = given
        if not timestamp.isdigit():
            raise ApiError("40005", "Invalid ACCESS_TIMESTAMP")
        if abs(int(timestamp) - now_ms) > self._window_ms:
            raise ApiError("40008", "Request timestamp expired")
        key = self._keys.get(name)
        if key is None:
            raise ApiError("40006", "Invalid ACCESS_KEY")
        if not headers.get("ACCESS-PASSPHRASE"):
            raise ApiError("40011", "ACCESS_PASSPHRASE cannot be empty")
        if not _same(headers["ACCESS-PASSPHRASE"], key.passphrase.get_secret_value()):
            raise ApiError("40012", "apikey/password is incorrect")
        if not _same(signature, _sign(key, timestamp + method + path_and_query + body)):
            raise ApiError("40009", "sign signature error")
        if key.ips and (peer is None or ip_address(peer) not in key.ips):
            raise ApiError("40018", "Invalid IP")
        return key

    def check_login(self, argument: Mapping[str, object], now_ms: int) -> FurtherKey:
        """Check a WebSocket login, whose timestamp is in seconds (or in milliseconds); returns its key.

        Raises:
            ApiError: what is wrong, with Bitget's WebSocket code.
        """
        timestamp = str(argument.get("timestamp", ""))
        if not timestamp.isdigit():
            raise ApiError("30013", "Invalid ACCESS_TIMESTAMP")
        milliseconds = int(timestamp) * (1 if len(timestamp) > 10 else 1000)
        # Whole seconds: up to one second of it is rounding.
        if abs(milliseconds - now_ms) > self._window_ms + 1000:
            raise ApiError("30014", "Request timestamp expired")
        key = self._keys.get(str(argument.get("apiKey", "")))
        if key is None:
            raise ApiError("30011", "Invalid ACCESS_KEY")
        if not _same(str(argument.get("passphrase", "")), key.passphrase.get_secret_value()):
            raise ApiError("30012", "Invalid ACCESS_PASSPHRASE")
        if not _same(str(argument.get("sign", "")), _sign(key, timestamp + "GET/user/verify")):
            raise ApiError("30015", "Invalid sign")
        return key


def require_authority(key: FurtherKey, *, to_trade: bool) -> None:
    """Refuse what a key may not do.

    Raises:
        ApiError: with Bitget's code.
    """
    if not (_MAY_TRADE if to_trade else _MAY_READ) & set(key.authorities):
        raise ApiError(
            "40014", "Incorrect permissions, need spot order write permissions" if to_trade else "Incorrect permissions"
        )


def _sign(key: FurtherKey, text: str) -> str:
    secret = key.secret_key.get_secret_value().encode()
    return base64.b64encode(hmac.digest(secret, text.encode(), "sha256")).decode()


def _same(given: str, right: str) -> bool:
    return hmac.compare_digest(given.encode(), right.encode())
