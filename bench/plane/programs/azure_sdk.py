"""The reference's way: one blob after the other with Azure's SDK, four connections a blob, MD5, a temporary file each.

    python azure_sdk.py CONTAINER_URL PREFIX TO

Prints seconds, from the listing on, and the peak of memory.
"""

import json
import os
import resource
import sys
import tempfile
import time
from pathlib import Path

from azure.identity import DefaultAzureCredential
from azure.storage.blob import ContainerClient


def main() -> None:
    """Fetch it."""
    url, prefix, to = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    began = time.perf_counter()
    client = ContainerClient.from_container_url(url, credential=DefaultAzureCredential())
    for blob in client.list_blobs(name_starts_with=prefix):
        path = to / blob.name.removeprefix(prefix)
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, scratch = tempfile.mkstemp(dir=path.parent)
        with os.fdopen(handle, "wb") as file:
            client.download_blob(blob.name, max_concurrency=4, validate_content=True).readinto(file)
        if os.path.getsize(scratch) != blob.size:
            raise OSError(f"{blob.name} is short")
        os.replace(scratch, path)
    took = time.perf_counter() - began
    print(json.dumps({"seconds": took, "mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))


if __name__ == "__main__":
    main()
