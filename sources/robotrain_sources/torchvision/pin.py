"""Weights of torchvision on the submit side: the digest of the table, and whether the file can be had."""

import urllib.error
import urllib.request
from collections.abc import Sequence
from urllib.parse import urlsplit

from robotrain.model.source import Source, SourceNotFound, SourceUnreachable
from robotrain_runtime.contract.certificate_trust import find_untrusted_certificate

from robotrain_sources import parallel
from robotrain_sources.torchvision.reference import FILE_WAY, parse_weights

REQUEST_SECONDS, DEADLINE_SECONDS = 5.0, 10.0
GONE = (401, 403, 404, 410)


def resolve_pin(source: Source, role: str) -> str:
    """Return the SHA-256 of the file, if its host has it. Raise SourceError."""
    weights = parse_weights(str(source))
    pin, host = weights.sha256, urlsplit(weights.url).hostname or ""
    request = urllib.request.Request(weights.url, method="HEAD", headers={"User-Agent": "robotrain"})

    def request_head() -> None:
        with urllib.request.urlopen(request, timeout=REQUEST_SECONDS):
            pass

    try:
        parallel.run_with_deadline(DEADLINE_SECONDS, request_head, host, SourceUnreachable)
    except urllib.error.HTTPError as error:
        error.close()
        explanation = f"{host} answered HTTP {error.code} for {weights.url}."
        if error.code in GONE:
            raise SourceNotFound(explanation, FILE_WAY) from None
        raise SourceUnreachable(explanation, FILE_WAY, pin) from None
    except OSError as error:
        reason: object = getattr(error, "reason", error)
        explanation = f"{host} cannot be reached: {find_untrusted_certificate(error) or reason}."
        raise SourceUnreachable(explanation, FILE_WAY, pin) from None
    except SourceUnreachable as error:
        raise SourceUnreachable(error.why, FILE_WAY, pin) from None
    return pin


def explain_lost_pin(source: Source, role: str, pin: str) -> str:
    """Return why a pin is not that of the weights; empty if it is. The run looks for the file itself."""
    weights = parse_weights(str(source))
    return "" if pin == weights.sha256 else f"{weights} is a file with the SHA-256 {weights.sha256}, not {pin}."


def find_missing_paths(source: Source, role: str, paths: Sequence[str]) -> list[str]:
    """Return none: it is one file."""
    return []
