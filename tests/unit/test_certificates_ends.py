"""When a certificate ends and what is said of it; which files are taken, and which are named."""

import stat
from datetime import datetime, timedelta

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from broker.errors import CertificateFileError
from broker.settings import ConnectionSettings
from broker.tls.authority import VALID_FROM, Authority, Host, InvalidHostError, Signed, host_of
from broker.tls.context import client_context, end_of, end_of_file, expiry_notice, expiry_notices
from broker.tls.folder import CertificateFolder, CertificatesError
from schemas.compat import UTC
from tidesync.command_line import run

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
BOAT = Host(("laptop.local",), ("192.168.2.1", "fd00::1"))


@pytest.fixture(autouse=True)
def alone(monkeypatch, tmp_path):
    """No settings but the test's own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "none"))


@pytest.fixture
def certs(tmp_path):
    folder = CertificateFolder(tmp_path / "certs")
    folder.make(BOAT, ["rov1"], NOW + timedelta(days=100), NOW, renew=False)
    return folder.path


@pytest.mark.parametrize(
    ("left", "sentence"),
    [
        (timedelta(days=30, seconds=1), None),
        (timedelta(days=30), "in 30 days, on 2026-05-31"),
        (timedelta(days=1), "in 1 day, on 2026-05-02"),
        (timedelta(hours=3), "within a day, on 2026-05-01"),
        (timedelta(0), "ended on 2026-05-01"),
        (timedelta(days=-400), "ended on 2025-03-27"),
    ],
)
def test_an_end_is_said_thirty_days_ahead(left, sentence):
    notice = expiry_notice("the broker's", NOW + left, NOW)
    assert notice == sentence if sentence is None else sentence in notice


def test_an_end_that_nobody_knows_is_no_warning():
    assert expiry_notice("the broker's", None, NOW) is None
    assert end_of({}) is None


def test_the_end_is_read_from_a_file_without_another_library(certs):
    ends = end_of_file(certs / "rov1.crt")
    assert ends == NOW + timedelta(days=100)
    assert end_of_file(certs / "rov1.key") is None
    assert end_of_file(certs / "nowhere") is None


def test_both_ends_certificates_are_warned_of(certs):
    own = {"cert_file": certs / "rov1.crt", "key_file": certs / "rov1.key"}
    settings = ConnectionSettings(broker="mqtts://boat", ca_file=certs / "ca.crt", **own)
    peer = {"notAfter": "Jul 30 12:00:00 2026 GMT"}
    assert list(expiry_notices(peer, settings, NOW)) == []
    notices = list(expiry_notices(peer, settings, NOW + timedelta(days=95)))
    assert len(notices) == 2
    assert "mqtts://boat:8883" in notices[0]
    assert str(certs / "rov1.crt") in notices[1]
    assert list(expiry_notices(None, settings, NOW)) == []


def extension(certificate, kind):
    return x509.load_pem_x509_certificate(certificate).extensions.get_extension_for_class(kind)


def test_certificates_are_for_one_use_by_one_name(certs):
    server, client, ca = ((certs / name).read_bytes() for name in ("server.crt", "rov1.crt", "ca.crt"))
    for certificate, is_ca in ((server, False), (client, False), (ca, True)):
        constraints = extension(certificate, x509.BasicConstraints)
        assert (constraints.critical, constraints.value.ca) == (True, is_ca)
        usage = extension(certificate, x509.KeyUsage)
        assert (usage.critical, usage.value.key_cert_sign) == (True, is_ca)
        assert usage.value.digital_signature is not is_ca
    assert list(extension(server, x509.ExtendedKeyUsage).value) == [
        ExtendedKeyUsageOID.SERVER_AUTH,
        ExtendedKeyUsageOID.CLIENT_AUTH,
    ]
    assert list(extension(client, x509.ExtendedKeyUsage).value) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    assert x509.load_pem_x509_certificate(client).subject.rfc4514_string() == "CN=rov1"
    host = host_of(server)
    assert host.names == ("laptop.local", "localhost")
    assert host.addresses == ("192.168.2.1", "fd00::1", "127.0.0.1", "::1")


def test_a_pi_whose_clock_stands_in_the_past_accepts_them(certs):
    for name in ("ca", "server", "rov1"):
        certificate = x509.load_pem_x509_certificate((certs / f"{name}.crt").read_bytes())
        assert certificate.not_valid_before_utc == VALID_FROM


def test_nothing_outlives_its_authority():
    authority = Authority.make(NOW)
    signed = authority.client("rov1", NOW + timedelta(days=99_999))
    assert x509.load_pem_x509_certificate(signed.certificate).not_valid_after_utc == authority.ends


def test_keys_are_for_their_owner_alone(certs):
    for path in certs.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == (0o600 if path.suffix == ".key" else 0o644)


def test_what_is_there_is_not_overwritten_unless_it_is_to_be_renewed(certs):
    before = {path.name: path.read_bytes() for path in certs.iterdir()}
    folder = CertificateFolder(certs)
    ends = NOW + timedelta(days=500)
    for host, accounts in ((BOAT, []), (None, ["rov1"]), (BOAT, ["rov2"])):
        with pytest.raises(CertificatesError, match="there already"):
            folder.make(host, accounts, ends, NOW, renew=False)
    assert {path.name: path.read_bytes() for path in certs.iterdir()} == before
    assert {path.name for path in folder.make(None, [], ends, NOW, renew=True)} == {
        "server.crt",
        "server.key",
    }
    after = {path.name: path.read_bytes() for path in certs.iterdir()}
    assert {name for name in after if after[name] != before[name]} == {"server.crt", "server.key"}
    assert host_of(after["server.crt"]) == host_of(before["server.crt"])
    assert end_of_file(certs / "server.crt") == ends
    folder.make(None, ["rov2"], ends, NOW, renew=False)
    assert (certs / "ca.crt").read_bytes() == before["ca.crt"]


@pytest.mark.parametrize("gone", ["ca.key", "ca.crt"])
def test_half_an_authority_is_named_and_not_replaced(certs, gone):
    (certs / gone).unlink()
    with pytest.raises(CertificatesError, match=gone):
        CertificateFolder(certs).make(None, ["rov2"], NOW + timedelta(days=9), NOW, renew=False)
    assert not (certs / gone).exists()
    assert not (certs / "rov2.crt").exists()


def test_an_authority_of_two_halves_is_refused(certs):
    other = Authority.make(NOW).signed
    (certs / "ca.key").write_bytes(other.key)
    with pytest.raises(CertificatesError, match="no authority"):
        CertificateFolder(certs).make(None, ["rov2"], NOW + timedelta(days=9), NOW, renew=False)
    with pytest.raises(ValueError):
        Authority.load(Signed(other.certificate, b"rubbish"))


def test_an_authority_that_has_ended_signs_nothing(certs):
    late = NOW + timedelta(days=26 * 365)
    with pytest.raises(CertificatesError, match="another folder"):
        CertificateFolder(certs).make(None, ["rov2"], late + timedelta(days=9), late, renew=False)


@pytest.mark.parametrize("name", ["", "a b", "a/b", "*.local", "-a", "a" * 64, "ä.local", "x\n"])
def test_a_name_that_is_none_is_refused(name):
    with pytest.raises(InvalidHostError):
        Host((name,), ())


@pytest.mark.parametrize("address", ["", "laptop", "1.2.3", "1.2.3.4/24"])
def test_an_address_that_is_none_is_refused(address):
    with pytest.raises(InvalidHostError):
        Host((), (address,))


@pytest.mark.parametrize(
    ("changed", "content", "named"),
    [
        ("ca.crt", b"", "ca_file"),
        ("ca.crt", b"rubbish", "ca_file"),
        ("rov1.crt", b"rubbish", "cert_file"),
        ("rov1.key", b"rubbish", "key_file"),
        ("rov1.key", Authority.make(NOW).signed.key, "key_file"),
        (
            "rov1.key",
            b"-----BEGIN ENCRYPTED PRIVATE KEY-----\nMAA=\n-----END ENCRYPTED PRIVATE KEY-----\n",
            "key_file",
        ),
    ],
)
def test_a_file_that_cannot_be_used_is_named(certs, changed, content, named):
    (certs / changed).write_bytes(content)
    own = {"cert_file": certs / "rov1.crt", "key_file": certs / "rov1.key"}
    settings = ConnectionSettings(broker="mqtts://boat", ca_file=certs / "ca.crt", **own)
    with pytest.raises(CertificateFileError) as refused:
        client_context(settings)
    assert (refused.value.setting, refused.value.path) == (named, certs / changed)


def test_an_agent_with_an_unusable_file_ends_at_once(certs, capsys):
    (certs / "ca.crt").write_bytes(b"rubbish")
    ca_file = str(certs / "ca.crt")
    for command in (["pi", "--vehicle", "rov1", "--no-http"], ["topside"], ["status"]):
        assert run([*command, "--broker", "mqtts://boat.invalid", "--ca-file", ca_file]) == 2
        sentence = capsys.readouterr().err
        assert sentence.startswith(f"tidesync: ca_file {ca_file}: ")
        assert sentence.count("\n") == 1


@pytest.mark.parametrize(("given", "missing"), [("cert", "key"), ("key", "cert")])
def test_a_certificate_comes_with_its_key(certs, capsys, given, missing):
    path = str(certs / ("rov1.crt" if given == "cert" else "rov1.key"))
    assert run(["topside", f"--{given}-file", path]) == 2
    sentence = capsys.readouterr().err
    assert f"{given}_file {path} is given without {missing}_file" in sentence


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "--name laptop.local"),
        (["--name", "a b"], "--name: 'a b'"),
        (["--address", "boat"], "--address: 'boat'"),
        (["--client", "../x"], "'../x'"),
        (["--client", "ca"], "--client ca"),
        (["--name", "boat", "--days", "0"], "--days"),
        (["--renew"], "server.crt"),
    ],
)
def test_wrong_usage_makes_nothing(tmp_path, capsys, arguments, sentence):
    assert run(["broker", "make-certs", *arguments, "--folder", str(tmp_path / "certs")]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert sentence in error
    assert not (tmp_path / "certs").exists()
