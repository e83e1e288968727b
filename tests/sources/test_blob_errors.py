"""Errors of Azure's clients as faults, which decide on a retry."""

import pytest
from azure.core import exceptions
from robotrain_sources.blob_url import errors, reference

AT = reference.parse_blob_url("https://account.blob.core.windows.net/box/act")
RESOLVE = "Failed to resolve 'account.blob.core.windows.net' ([Errno {}])"


class Answer:
    """One that came, and says nothing that can be read."""

    status_code = 200
    reason = "OK"


class BaseError(Exception):
    """As obstore's is called."""


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (exceptions.ServiceRequestError(RESOLVE.format("-2] Name or service not known")), "configuration"),
        (exceptions.ServiceRequestError(RESOLVE.format("-5] No address associated with hostname")), "configuration"),
        (exceptions.ServiceRequestError(RESOLVE.format("-3] Temporary failure in name resolution")), "network"),
        (BaseError("HTTP error: error sending request\n\n    error: Name or service not known"), "configuration"),
        (BaseError("HTTP error: error sending request"), "network"),
        (BaseError("what no version before it said"), "network"),
        (exceptions.IncompleteReadError("Connection broken: IncompleteRead(10 bytes read)"), "network"),
        (exceptions.DecodeError("XML is invalid", response=Answer()), "network"),
        (exceptions.HttpResponseError("Connection broken: InvalidChunkLength"), "network"),
        (TimeoutError(), "network"),
        (MemoryError(), "out_of_memory"),
        (OSError(28, "No space left on device"), "disk_full"),
        (TypeError("unexpected keyword"), "code"),
    ],
    ids=repr,
)
def test_the_fault_of_an_error_without_a_status(error, fault):
    assert errors.explain_blob_error(error, AT, None).fault == fault


@pytest.mark.parametrize("status", [400, 409])
def test_what_azure_does_not_do_for_anybody_is_a_mistake_in_the_job(status):
    error = BaseError(f"Server returned non-2xx status code: {status}")
    assert errors.explain_blob_error(error, AT, None).fault == "configuration"
