"""Certificates that a client does not trust: how libraries say so, and what helps."""

from __future__ import annotations

import re
from typing import NamedTuple

from robotrain_runtime.contract.failure_causes import UNTRUSTED
from robotrain_runtime.contract.problem import Suggestion

_REASON = r"(?:certificate verify failed|invalid peer certificate): ([\w' -]*[\w'])"
_OF_ANOTHER_HOST = r"(?i)hostname mismatch|NotValidForName|not valid for"
_OF_ANOTHER_TIME = r"(?i)expired|not yet valid|NotValidYet"


class UntrustedCertificate(NamedTuple):
    """Why a connection was refused by its client."""

    sentence: str
    """That the certificate is not trusted, with the reason, as the end of a sentence about the host."""
    remedy: str
    """What helps, as a sentence without its period."""
    way: Suggestion
    """The same, to be typed where that is possible."""

    def __str__(self) -> str:
        return f"{self.sentence}: {self.remedy}"


def find_untrusted_certificate(*errors: object) -> UntrustedCertificate | None:
    """Return what the messages of errors say about a certificate; None if they say nothing."""
    message = next((message for message in map(str, errors) if re.search(UNTRUSTED, message)), "")
    if not message:
        return None
    reason = re.search(_REASON, message)
    sentence = "its certificate is not trusted" + (f" ({reason[1].strip()})" if reason else "")
    if re.search(_OF_ANOTHER_HOST, message):
        remedy = "correct the address: another host answers there"
    elif re.search(_OF_ANOTHER_TIME, message):
        remedy = "correct the clock of this machine, or renew the server's certificate"
    else:
        remedy = "set REQUESTS_CA_BUNDLE and SSL_CERT_FILE to a file with the certificates that your network uses"
        variables = "export REQUESTS_CA_BUNDLE=FILE SSL_CERT_FILE=FILE"
        way = Suggestion(variables, "a file with the certificates that your network, or its proxy, uses")
        return UntrustedCertificate(sentence, remedy, way)
    return UntrustedCertificate(sentence, remedy, Suggestion(remedy))
