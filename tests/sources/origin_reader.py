"""Runs in the data environment: opens a source as the transfer does, lists it and gets every file, one after the other.

`python origin_reader.py MODULE URI [PIN [ROLE [CREDENTIAL]]]` prints JSON: place, digest, entries and files (their
SHA-256), or refused with its fault.
"""

import hashlib
import importlib
import json
import sys

import obstore
from robotrain_sources.fetching.errors import FetchError
from robotrain_sources.transfer import origin as transfer_origin


def main(module: str, uri: str, pin: str = "", role: str = "policy", credential: str = "") -> dict[str, object]:
    try:
        origin = importlib.import_module(module).open(uri, pin, role, credential, "")
    except FetchError as refused:
        return {"refused": str(refused), "fault": refused.fault}
    try:
        entries = sorted(origin.list_files(), key=lambda entry: entry.name)
        if not entries:
            raise origin.explain_empty()
        store, files = origin.open_store(transfer_origin.CLIENT_OPTIONS), {}
        for entry in entries:
            options = {"if_match": entry.version} if entry.version else None
            content = bytes(obstore.get(store, origin.get_store_path(entry.name), options=options).bytes())
            files[entry.name] = hashlib.sha256(content).hexdigest()
    except Exception as error:
        refused = origin.explain_error(error)
        return {"refused": str(refused), "fault": refused.fault}
    identities = {entry.name: entry.identity for entry in entries}
    return {
        "place": origin.place,
        "digest": transfer_origin.compute_data_digest(entries),
        "entries": identities,
        "files": files,
    }


print(json.dumps(main(*sys.argv[1:])))
