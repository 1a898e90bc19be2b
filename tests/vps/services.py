"""Where alerts go, on this machine: an SMTP server, and one that takes what Slack, Telegram and PagerDuty document.

Their certificate is signed by an authority of their own, as a company's mail server's may be. What the real services
would refuse is refused with their status and words.
"""

import json
import re
import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.message import Message
from email.policy import default
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

SLACK_PATH = "/services/T0123/B0123/XXXXXXXX"
TELEGRAM_TOKEN = "123456789:AAtokenOfABotThatIsNone"
CHAT = -1001234567890
ROUTING_KEY = "0123456789abcdef0123456789abcdef"
SEVERITIES = {"critical", "error", "warning", "info"}

USER, PASSWORD = "vps1", "p4ss of a mailbox"


def certified(address: IPv4Address, place: Path) -> tuple[str, ssl.SSLContext]:
    """A new authority's certificate, as PEM, and what a server at an address needs to be trusted by it."""
    now = datetime.now(tz=UTC)

    def signed(name: str, key: ec.EllipticCurvePrivateKey, by: ec.EllipticCurvePrivateKey, ca: bool) -> bytes:
        return (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "an authority of our own")]))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(days=2))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([x509.IPAddress(address)]), critical=False)
            .sign(by, hashes.SHA256())
            .public_bytes(Encoding.PEM)
        )

    authority, server = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    pem = place / "server.pem"
    key = server.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    pem.write_bytes(key + signed("a server", server, authority, ca=False))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    return signed("an authority of our own", authority, authority, ca=True).decode(), context


def free_port(address: str) -> int:
    """A port of this machine that nobody listens on."""
    with closing(socket.socket()) as probe:
        probe.bind((address, 0))
        return int(probe.getsockname()[1])


@dataclass
class Mailbox:
    """An SMTP server, and what came."""

    address: str
    tls: ssl.SSLContext | None
    """With it, STARTTLS and a login are wanted; without, neither is offered."""

    mails: list[Message] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.port = free_port(self.address)
        logged_in = {"authenticator": self._allows, "auth_required": True, "auth_exclude_mechanism": ["LOGIN"]}
        wanted: dict[str, Any] = {"tls_context": self.tls, "require_starttls": True, **logged_in} if self.tls else {}
        self._controller = Controller(self, hostname=self.address, port=self.port, **wanted)
        self._controller.start()

    def stop(self) -> None:
        """Be gone."""
        self._controller.stop()

    def _allows(
        self, _server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, login: LoginPassword
    ) -> AuthResult:
        known = (login.login.decode(), login.password.decode()) == (USER, PASSWORD)
        return AuthResult(success=known, handled=False)

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802 (aiosmtpd's name)
        """Take a mail."""
        self.mails.append(message_from_bytes(envelope.original_content or b"", policy=default))
        return "250 OK"


Answer = tuple[int, object]


@dataclass(frozen=True)
class Request:
    """What a service took."""

    service: str
    body: dict[str, Any]


def slack(path: str, body: dict[str, Any]) -> Answer:
    """An incoming webhook, whose address is the secret."""
    if path != SLACK_PATH:
        return 403, "invalid_token"
    if not (body.get("text") or any(each.get("text") or each.get("fallback") for each in body.get("attachments", []))):
        return 400, "no_text"
    return 200, "ok"


def telegram(path: str, body: dict[str, Any]) -> Answer:
    """The Bot API's sendMessage; the bot's token is in the path."""
    if path != f"/bot{TELEGRAM_TOKEN}/sendMessage":
        return 401, {"ok": False, "error_code": 401, "description": "Unauthorized"}
    if str(body.get("chat_id")) != str(CHAT):
        return 400, {"ok": False, "error_code": 400, "description": "Bad Request: chat not found"}
    if not 1 <= len(body.get("text", "")) <= 4096:
        return 400, {"ok": False, "error_code": 400, "description": "Bad Request: message text is empty"}
    message = {"message_id": 1, "date": 1, "chat": {"id": CHAT, "type": "supergroup"}, "text": body["text"]}
    return 200, {"ok": True, "result": message}


def pagerduty(path: str, body: dict[str, Any]) -> Answer:
    """The Events API v2."""
    payload = body.get("payload") or {}
    wrong = [
        said
        for said, is_so in (
            ("Invalid routing key", body.get("routing_key") != ROUTING_KEY),
            ("'event_action' is wrong", body.get("event_action") not in {"trigger", "acknowledge", "resolve"}),
            ("'dedup_key' is too long", len(body.get("dedup_key", "")) > 255),
            ("'payload.summary' is missing or too long", not 1 <= len(payload.get("summary", "")) <= 1024),
            ("'payload.source' is missing or blank", not payload.get("source")),
            ("'payload.severity' is wrong", payload.get("severity") not in SEVERITIES),
        )
        if is_so
    ]
    if wrong:
        return 400, {"status": "invalid event", "message": "Event object is invalid", "errors": wrong}
    return 202, {"status": "success", "message": "Event processed", "dedup_key": body.get("dedup_key")}


SERVICES: dict[str, Callable[[str, dict[str, Any]], Answer]] = {
    r"/services/": slack,
    r"/bot[0-9]+:": telegram,
    r"/v2/enqueue$": pagerduty,
}


class Services:
    """One HTTPS server for the three: what is asked for tells who is meant."""

    def __init__(self, address: str, tls: ssl.SSLContext) -> None:
        self.taken: list[Request] = []
        services = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                assert self.headers["Content-Type"] == "application/json", self.headers["Content-Type"]
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                service = next(each for path, each in SERVICES.items() if re.match(path, self.path))
                status, answer = service(self.path, body)
                if status < 300:
                    services.taken.append(Request(service.__name__, body))
                said = answer.encode() if isinstance(answer, str) else json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(said)))
                self.end_headers()
                self.wfile.write(said)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base class's name)
                pass

        self._server = ThreadingHTTPServer((address, 0), Handler)
        self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self.url = f"https://{address}:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def of(self, service: str) -> list[dict[str, Any]]:
        """What one of them took."""
        return [request.body for request in self.taken if request.service == service]

    def stop(self) -> None:
        """Be gone."""
        self._server.shutdown()
        self._server.server_close()
