"""Bitget's request signatures."""

import base64
import hmac

from ..config import Credentials
from .errors import ApiError


class Authenticator:
    """Knows the one API key and checks what is signed with it.

    Args:
        credentials: the key.
        window_s: how far a timestamp may be off.
    """

    def __init__(self, credentials: Credentials, window_s: float) -> None:
        self._key = credentials.api_key
        self._secret = credentials.secret_key.get_secret_value().encode()
        self._passphrase = credentials.passphrase.get_secret_value()
        self._window_ms = window_s * 1000

    def check_request(self, headers: dict[str, str], method: str, path_and_query: str, body: str, now_ms: int) -> None:
        """Check a REST request. ``headers`` by upper-case name.

        Raises:
            ApiError: what is missing or wrong, with Bitget's code.
        """
        given = [headers.get(name, "") for name in ("ACCESS-KEY", "ACCESS-SIGN", "ACCESS-TIMESTAMP")]
        for value, code, name in zip(given, ("40001", "40002", "40003"), ("KEY", "SIGN", "TIMESTAMP"), strict=True):
            if not value:
                raise ApiError(code, f"ACCESS_{name} cannot be empty")
        key, signature, timestamp = given
        if not timestamp.isdigit():
            raise ApiError("40005", "Invalid ACCESS_TIMESTAMP")
        if abs(int(timestamp) - now_ms) > self._window_ms:
            raise ApiError("40008", "Request timestamp expired")
        if not _same(key, self._key):
            raise ApiError("40006", "Invalid ACCESS_KEY")
        if not _same(headers.get("ACCESS-PASSPHRASE", ""), self._passphrase):
            raise ApiError("40012", "apikey/password is incorrect")
        if not _same(signature, self._sign(timestamp + method + path_and_query + body)):
            raise ApiError("40009", "sign signature error")

    def check_login(self, argument: dict[str, object], now_ms: int) -> None:
        """Check a WebSocket login; its timestamp is in seconds (or in milliseconds).

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
        if not _same(str(argument.get("apiKey", "")), self._key):
            raise ApiError("30011", "Invalid ACCESS_KEY")
        if not _same(str(argument.get("passphrase", "")), self._passphrase):
            raise ApiError("30012", "Invalid ACCESS_PASSPHRASE")
        if not _same(str(argument.get("sign", "")), self._sign(timestamp + "GET/user/verify")):
            raise ApiError("30015", "Invalid sign")

    def _sign(self, text: str) -> str:
        return base64.b64encode(hmac.digest(self._secret, text.encode(), "sha256")).decode()


def _same(given: str, right: str) -> bool:
    return hmac.compare_digest(given.encode(), right.encode())
