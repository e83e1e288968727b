"""Objects below a prefix, listed and downloaded by obstore. `python bucket.py URI PIN CACHE` prints their folder."""

import hashlib
import json
import os
import shutil
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath

import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store

CONNECTIONS = 16
Objects = list[tuple[str, int, str]]
"""Path, size and ETag of each object."""


def open_store(uri: str) -> S3Store:
    """Return the store of an address; AWS's environment variables say who asks, and where."""
    bucket, _, prefix = uri.removeprefix("s3://").partition("/")
    options = {"allow_http": os.environ.get("AWS_ENDPOINT_URL", "").startswith("http:")}
    return S3Store(bucket, prefix=f"{prefix}/", client_options=options, retry_config={"max_retries": 3})


def list_objects(uri: str) -> Objects:
    """Return what is below an address. Raise FileNotFoundError if that is nothing, or what obstore raises."""
    pages = obstore.list(open_store(uri))
    objects = sorted((entry["path"], entry["size"], entry["e_tag"] or "") for page in pages for entry in page)
    folders = {str(folder) for path, *_ in objects for folder in PurePosixPath(path).parents}
    objects = [
        listed_object for listed_object in objects if listed_object[0] not in ("", *folders)
    ]  # consoles make objects of folders
    if not objects:
        raise FileNotFoundError(f"There is nothing below {uri}")
    return objects


def compute_digest(objects: Objects) -> str:
    """Return a digest that is the same for the same content under the same names."""
    return hashlib.sha256(json.dumps(objects).encode()).hexdigest()[:32]


def read_files(uri: str, paths: Sequence[str]) -> dict[str, bytes]:
    """Return the content of those of some paths that exist."""
    store, existing = open_store(uri), {path for path, *_ in list_objects(uri)}
    return {path: bytes(obstore.get(store, path).bytes()) for path in paths if path in existing}


def fetch(uri: str, pin: str, cache: Path) -> Path:
    """Return the folder with the objects: complete, or not there. Raise OSError, or what obstore raises."""
    store, objects = open_store(uri), list_objects(uri)
    digest = compute_digest(objects)
    if pin not in ("", digest):
        raise OSError("it has changed since the job was submitted")
    folder = cache / "data" / "s3" / digest
    scratch = folder.with_name(f"{digest}.{os.getpid()}.part")

    def download(listed_object: tuple[str, int, str]) -> None:
        path, _, etag = listed_object
        (scratch / path).parent.mkdir(parents=True, exist_ok=True)
        with (scratch / path).open("wb") as file:
            for chunk in obstore.get(store, path, options={"if_match": etag}).stream():
                file.write(chunk)

    if not folder.is_dir():
        try:
            with ThreadPoolExecutor(CONNECTIONS) as pool:
                list(pool.map(download, objects))
            scratch.rename(folder)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    return folder


if __name__ == "__main__":
    try:
        print(fetch(sys.argv[1], sys.argv[2], Path(sys.argv[3])))
    except (OSError, BaseError) as error:
        sys.exit(str(error).splitlines()[0])
