"""Why nothing could be written to a folder of blobs, in a sentence."""

from robotrain_runtime.courier import Never

from robotrain_sources.blob_url import unfetched
from robotrain_sources.blob_url.identity import Identity
from robotrain_sources.blob_url.prefix import BlobPrefix

CONTRIBUTOR = "Storage Blob Data Contributor"
_WRITING = (
    ("could not be read", "could not be written to"),
    (" read container ", " write to container "),
    (" while it was fetched", " while it was published"),
    (": start the run again", ""),
)
"""What is told of reading, told of writing."""


class Torn(Exception):
    """What lies there now is not what was sent. The text says what."""


def of(error: Exception, at: BlobPrefix, who: Identity, way: str = "") -> Exception:
    """What is raised in the place of `error`: Never and the operating system's own trouble stay as they are.

    way: as for reading.
    """
    if isinstance(error, Never) or (isinstance(error, OSError) and error.errno):
        return error
    if isinstance(error, Torn):
        return OSError(str(error))
    if getattr(error, "error_code", "") == "ContainerNotFound":
        make = f"az storage container create --auth-mode login --account-name {at.account} --name {at.container}"
        return OSError(f"the storage account {at.account} has no container {at.container}: {make}")
    sentence = str(unfetched.of(error, at, who, CONTRIBUTOR, way))
    for reading, writing in _WRITING:
        sentence = sentence.replace(reading, writing)
    return OSError(sentence)
