"""The keys, certificates and kubeconfigs of a node. They live as long as the node does."""

from __future__ import annotations

import base64
import datetime as dt
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_LIFETIME = dt.timedelta(days=365)
_SERVER_NAMES = (
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
    "localhost",
)


@dataclass(frozen=True)
class Authority:
    """A certificate authority that signs what it is asked to."""

    name: str
    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @classmethod
    def made(cls, name: str) -> Authority:
        """Return a new authority."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = _builder(subject, subject, key.public_key())
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        builder = builder.add_extension(_usage(signs_certificates=True), True)
        return cls(name, key, builder.sign(key, hashes.SHA256()))

    def write(self, folder: Path) -> None:
        """Write key and certificate."""
        _write_pair(folder / self.name, self.key, self.certificate)

    def issue(
        self, folder: Path, name: str, user: str, group: str = "", hosts: Sequence[str] = ()
    ) -> None:
        """Write a certificate and its key for a user of the API or a server under some names."""
        key = ec.generate_private_key(ec.SECP256R1())
        said = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group)] if group else []
        subject = x509.Name([*said, x509.NameAttribute(NameOID.COMMON_NAME, user)])
        builder = _builder(subject, self.certificate.subject, key.public_key())
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), True)
        builder = builder.add_extension(_usage(signs_certificates=False), True)
        both = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        builder = builder.add_extension(x509.ExtendedKeyUsage(both), False)
        if hosts:
            names = x509.SubjectAlternativeName([_alternative(host) for host in hosts])
            builder = builder.add_extension(names, False)
        _write_pair(folder / name, key, builder.sign(self.key, hashes.SHA256()))


def write_all(folder: Path, node: str, address: str, service_address: str) -> None:
    """Write everything that the programs of a node authenticate with.

    Args:
        folder: where it is written; the administrator's file is `admin.kubeconfig`.
        node: the node's name.
        address: the node's address.
        service_address: the address of the Service `kubernetes`.
    """
    folder.mkdir(parents=True, mode=0o700)
    cluster, front = Authority.made("ca"), Authority.made("front-proxy-ca")
    cluster.write(folder)
    front.write(folder)
    local = ("127.0.0.1", address)
    cluster.issue(
        folder, "apiserver", "kube-apiserver", "", (*_SERVER_NAMES, service_address, *local)
    )
    cluster.issue(folder, "apiserver-kubelet", "apiserver-kubelet", "system:masters")
    front.issue(folder, "front-proxy", "front-proxy-client")
    cluster.issue(folder, "kubelet-serving", node, "", (node, *local))
    metrics = "metrics-server.kube-system.svc"
    cluster.issue(folder, "metrics-server-serving", metrics, "", (metrics,))
    users = {
        "admin": ("admin", "system:masters"),
        "controller-manager": ("system:kube-controller-manager", ""),
        "scheduler": ("system:kube-scheduler", ""),
        "kubelet": (f"system:node:{node}", "system:nodes"),
        "proxy": ("system:kube-proxy", ""),
        "network-policies": ("network-policies", ""),
        "metrics-server": ("metrics-server", ""),
    }
    for name, (user, group) in users.items():
        cluster.issue(folder, name, user, group)
        _write_private(folder / f"{name}.kubeconfig", _kubeconfig(folder, name, address))
    _write_service_account_key(folder)


def _kubeconfig(folder: Path, name: str, address: str) -> str:
    def data(file: str) -> str:
        return base64.b64encode((folder / file).read_bytes()).decode()

    server = {"server": f"https://{address}:6443", "certificate-authority-data": data("ca.crt")}
    user = {
        "client-certificate-data": data(f"{name}.crt"),
        "client-key-data": data(f"{name}.key"),
    }
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "midwatch", "cluster": server}],
            "users": [{"name": name, "user": user}],
            "contexts": [{"name": "midwatch", "context": {"cluster": "midwatch", "user": name}}],
            "current-context": "midwatch",
        }
    )


def _write_service_account_key(folder: Path) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    _write_private(folder / "service-accounts.key", _pem(key))
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    (folder / "service-accounts.pub").write_bytes(public)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    # Half an hour of grace for clocks that differ.
    begin = dt.datetime.now(dt.UTC) - dt.timedelta(minutes=30)
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key)
    builder = builder.serial_number(x509.random_serial_number())
    return builder.not_valid_before(begin).not_valid_after(begin + _LIFETIME)


def _usage(signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _alternative(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _write_pair(stem: Path, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> None:
    _write_private(Path(f"{stem}.key"), _pem(key))
    Path(f"{stem}.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))


def _pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()


def _write_private(file: Path, text: str) -> None:
    file.touch(mode=0o600)
    file.write_text(text, encoding="utf-8")
