"""A certificate authority for a boat that has none, and the certificates that it signs."""

from __future__ import annotations

import ipaddress
import re
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from schemas.compat import UTC

if TYPE_CHECKING:
    from collections.abc import Sequence

VALID_FROM = datetime(2020, 1, 1, tzinfo=UTC)
"""Long ago: a Pi without a battery clock starts in the past, and must be able to say so over TLS."""
AUTHORITY_DAYS = 25 * 365
_OF_A_BROKER = (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH)
_HOST_NAME = re.compile(r"(?=.{1,253}$)[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9-]{1,63})*")


class InvalidHostError(ValueError):
    """Not a name or address that a certificate can be issued for."""


@dataclass(frozen=True, slots=True)
class Signed:
    """A certificate and its key, in PEM."""

    certificate: bytes
    key: bytes


@dataclass(frozen=True, slots=True)
class Host:
    """Where a broker is reached, by name and address; the machine itself always reaches it at localhost."""

    names: tuple[str, ...]
    addresses: tuple[str, ...]

    def __post_init__(self) -> None:
        for name in self.names:
            if not _HOST_NAME.fullmatch(name):
                raise InvalidHostError(f"{name!r} is not a host name")
        for address in self.addresses:
            try:
                ipaddress.ip_address(address)
            except ValueError as error:
                raise InvalidHostError(f"{address!r} is not an IP address") from error

    def general_names(self) -> list[x509.GeneralName]:
        """As a certificate lists them."""
        names = dict.fromkeys([*self.names, "localhost"])
        addresses = dict.fromkeys(map(ipaddress.ip_address, [*self.addresses, "127.0.0.1", "::1"]))
        return [*map(x509.DNSName, names), *map(x509.IPAddress, addresses)]


class Authority:
    """Signs; its key stays where it was made."""

    def __init__(self, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
        self._certificate = certificate
        self._key = key

    @classmethod
    def make(cls, now: datetime) -> Authority:
        """A new authority with a unique name."""
        key = _new_key()
        name = _named(f"Tidesync authority {now:%Y-%m-%d} {secrets.token_hex(4)}")
        builder = _begin(name, name, key.public_key(), now + timedelta(days=AUTHORITY_DAYS))
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        builder = builder.add_extension(_key_usage(signs_certificates=True), critical=True)
        return cls(builder.sign(key, hashes.SHA256()), key)

    @classmethod
    def load(cls, signed: Signed) -> Authority:
        """A stored authority; ValueError when certificate and key do not match, or are invalid."""
        return cls(*_pair(signed))

    @property
    def signed(self) -> Signed:
        """Its certificate and key, to be stored."""
        return Signed(self._certificate.public_bytes(serialization.Encoding.PEM), _pem(self._key))

    @property
    def ends(self) -> datetime:
        """When it expires, and with it everything that it has signed."""
        return self._certificate.not_valid_after_utc

    def server(self, host: Host, ends: datetime) -> Signed:
        """A broker's certificate; the nodes of a cluster also connect to one another with it."""
        name = (host.names or host.addresses or ("localhost",))[0]
        alternatives = x509.SubjectAlternativeName(host.general_names())
        return self._sign(name, alternatives, _OF_A_BROKER, ends)

    def client(self, account: str, ends: datetime) -> Signed:
        """An account's own certificate."""
        alternatives = x509.SubjectAlternativeName([x509.DNSName(account)])
        return self._sign(account, alternatives, (ExtendedKeyUsageOID.CLIENT_AUTH,), ends)

    def _sign(
        self,
        name: str,
        alternatives: x509.SubjectAlternativeName,
        usages: Sequence[x509.ObjectIdentifier],
        ends: datetime,
    ) -> Signed:
        key = _new_key()
        builder = _begin(_named(name[:64]), self._certificate.subject, key.public_key(), min(ends, self.ends))
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        for extension, critical in (
            (x509.BasicConstraints(ca=False, path_length=None), True),
            (_key_usage(signs_certificates=False), True),
            (x509.ExtendedKeyUsage(usages), False),
            (alternatives, False),
            (issuer, False),
        ):
            builder = builder.add_extension(extension, critical=critical)
        certificate = builder.sign(self._key, hashes.SHA256())
        return Signed(certificate.public_bytes(serialization.Encoding.PEM), _pem(key))


def host_of(certificate: bytes) -> Host:
    """The names and addresses that a broker's certificate is issued for; ValueError when it is none."""
    extensions = x509.load_pem_x509_certificate(certificate).extensions
    try:
        names = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound as error:
        raise ValueError("it is issued for no name") from error
    addresses = map(str, names.get_values_for_type(x509.IPAddress))
    return Host(tuple(names.get_values_for_type(x509.DNSName)), tuple(addresses))


def serves(authority: bytes, signed: Signed, host: Host, until: datetime) -> bool:
    """Whether `signed` is a broker's pair that `authority` issued, for all of `host`, good `until` then."""
    try:
        certificate, _ = _pair(signed)
        certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(authority))
        known = host_of(signed.certificate)
    except (ValueError, TypeError, InvalidSignature):
        return False
    has_all = {*host.names, *host.addresses} <= {*known.names, *known.addresses}
    return has_all and certificate.not_valid_after_utc >= until


def _pair(signed: Signed) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    key = serialization.load_pem_private_key(signed.key, password=None)
    certificate = x509.load_pem_x509_certificate(signed.certificate)
    if not isinstance(key, ec.EllipticCurvePrivateKey) or certificate.public_key() != key.public_key():
        raise ValueError("the key is not the certificate's")
    return certificate, key


def _new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _begin(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, ends: datetime
) -> x509.CertificateBuilder:
    builder = x509.CertificateBuilder(issuer, subject, key, x509.random_serial_number(), VALID_FROM, ends)
    return builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
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
