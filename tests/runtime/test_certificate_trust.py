"""Certificates that are not trusted: how libraries say so, and what helps."""

import ssl

import pytest
from robotrain_runtime.contract.certificate_trust import find_untrusted_certificate

PYTHON = "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: {} (_ssl.c:1007)"
SELF_SIGNED = "self-signed certificate"
BUNDLE = "REQUESTS_CA_BUNDLE"


@pytest.mark.parametrize(
    ("message", "reason", "remedy"),
    [
        (PYTHON.format("unable to get local issuer certificate"), "unable to get local issuer certificate", BUNDLE),
        (
            f"(Caused by SSLError(SSLCertVerificationError(1, '{PYTHON.format(SELF_SIGNED)}')))",
            f"({SELF_SIGNED})",
            BUNDLE,
        ),
        ("error sending request: invalid peer certificate: UnknownIssuer", "UnknownIssuer", BUNDLE),
        (PYTHON.format("certificate has expired"), "certificate has expired", "clock"),
        (PYTHON.format("Hostname mismatch, certificate is not valid for 'x'."), "Hostname mismatch", "address"),
        (ssl.SSLCertVerificationError("certificate verify failed"), "not trusted", BUNDLE),
    ],
)
def test_a_message_says_why_a_certificate_is_not_trusted(message, reason, remedy):
    untrusted = find_untrusted_certificate("something else", message)
    assert reason in untrusted.sentence
    assert remedy in untrusted.remedy
    assert remedy in untrusted.way.text


@pytest.mark.parametrize("message", ["timed out", "[SSL: WRONG_VERSION_NUMBER] wrong version number", "certificate"])
def test_other_failures_are_about_no_certificate(message):
    assert find_untrusted_certificate(message) is None
