"""The exchange's own certificate authority and the certificate it shows.

The authority is made once and may vouch for the exchange's names only; bots trust it through ``public/ca.pem``. The
certificate is renewed at a start, or daily while running, when it nears its end; bots notice nothing.
"""

import datetime
import os
import ssl
from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_CA_LIFE = datetime.timedelta(days=7300)
_LEAF_LIFE = datetime.timedelta(days=397)
_RENEW_BEFORE = datetime.timedelta(days=30)


class CertificateStore:
    """The files below ``tls_dir``: ``public/ca.pem`` to hand out, ``private/`` for this process alone.

    Args:
        directory: where they live.
        host_names: the names to be vouched for.
    """

    def __init__(self, directory: Path, host_names: Sequence[str]) -> None:
        self.ca_file = directory / "public" / "ca.pem"
        self._private = directory / "private"
        self._ca_key_file = self._private / "ca.key"
        self._leaf_file = self._private / "server.pem"
        self._names = list(host_names)

    def ensure(self) -> bool:
        """Make what is missing, unusable or about to expire; returns whether the certificate is a new one.

        Raises:
            OSError: the directory cannot be written.
        """
        self.ca_file.parent.mkdir(parents=True, exist_ok=True)
        self.ca_file.parent.chmod(0o755)
        self._private.mkdir(parents=True, exist_ok=True)
        self._private.chmod(0o700)
        now = datetime.datetime.now(datetime.UTC)
        authority = self._load_authority(now)
        renewed = authority is None
        ca, ca_key = authority or self._make_authority(now)
        if renewed or not self._leaf_is_good(ca, now):
            self._make_leaf(ca, ca_key, now)
            return True
        return False

    def server_context(self) -> ssl.SSLContext:
        """A TLS context for the server; `reload` renews it in place."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        self.reload(context)
        return context

    def reload(self, context: ssl.SSLContext) -> None:
        """Show the present certificate from the next connection on."""
        context.load_cert_chain(self._leaf_file)

    def _load_authority(self, now: datetime.datetime) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey] | None:
        try:
            ca = x509.load_pem_x509_certificate(self.ca_file.read_bytes())
            key = serialization.load_pem_private_key(self._ca_key_file.read_bytes(), password=None)
            permitted = ca.extensions.get_extension_for_class(x509.NameConstraints).value.permitted_subtrees
        except (OSError, ValueError, x509.ExtensionNotFound):
            return None
        usable = (
            isinstance(key, ec.EllipticCurvePrivateKey)
            and key.public_key() == ca.public_key()
            and ca.not_valid_after_utc > now + _LEAF_LIFE
            and {name.value for name in permitted or ()} == set(self._names)
        )
        return (ca, key) if usable and isinstance(key, ec.EllipticCurvePrivateKey) else None

    def _leaf_is_good(self, ca: x509.Certificate, now: datetime.datetime) -> bool:
        try:
            leaf = x509.load_pem_x509_certificate(self._leaf_file.read_bytes())
            leaf.verify_directly_issued_by(ca)
            names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        except (OSError, ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound):
            return False
        return leaf.not_valid_after_utc > now + _RENEW_BEFORE and set(names.get_values_for_type(x509.DNSName)) == set(
            self._names
        )

    def _make_authority(self, now: datetime.datetime) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "paper exchange (no real market)")])
        ca = (
            self._builder(name, name, key, now, _CA_LIFE)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs_certificates=True), critical=True)
            .add_extension(x509.NameConstraints([x509.DNSName(n) for n in self._names], None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )
        _write(self._ca_key_file, _pem(key), 0o600)
        _write(self.ca_file, ca.public_bytes(serialization.Encoding.PEM), 0o644)
        return ca, key

    def _make_leaf(self, ca: x509.Certificate, ca_key: ec.EllipticCurvePrivateKey, now: datetime.datetime) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, self._names[0])])
        leaf = (
            self._builder(name, ca.subject, key, now, _LEAF_LIFE)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(n) for n in self._names]), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False)
            .sign(ca_key, hashes.SHA256())
        )
        _write(self._leaf_file, _pem(key) + leaf.public_bytes(serialization.Encoding.PEM), 0o600)

    def _builder(
        self,
        subject: x509.Name,
        issuer: x509.Name,
        key: ec.EllipticCurvePrivateKey,
        now: datetime.datetime,
        life: datetime.timedelta,
    ) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + life)
        )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _write(path: Path, content: bytes, mode: int) -> None:
    """Replace a file whole, never readable by more than ``mode`` allows."""
    temporary = path.with_suffix(".new")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.chmod(mode)
    temporary.replace(path)
