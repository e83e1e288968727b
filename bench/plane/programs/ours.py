"""robotrain's way: its transfer, as a run uses it.

    python ours.py look|fetch CACHE DATA_PYTHON URL…

Prints seconds of looking (the program's start, signing in and listing among them) and of fetching, and the peak of
memory of the program that transfers.
"""

import json
import resource
import sys
import time
from pathlib import Path

from robotrain_runtime.document import Source
from robotrain_runtime.half import Place
from robotrain_sources.blob_url import container
from robotrain_sources.transfer import delivery


def main() -> None:
    """Look, and fetch if it is asked for."""
    what, cache, python, *urls = sys.argv[1:]
    sources = [Source(role="dataset", kind="blob_url", uri=url) for url in urls]
    place = Place(cache=Path(cache), python=Path(python))
    began = time.perf_counter()
    coming = delivery.deliver(sources, {"blob_url": container}, place, {})
    found = coming.survey()
    wrong = [sentence for one in found for sentence in one.wrong]
    assert not wrong, wrong
    looked = time.perf_counter()
    if what == "fetch":
        coming.fetch(lambda far: None)
    fetched = time.perf_counter()
    coming.close()
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(json.dumps({"look": looked - began, "fetch": fetched - looked, "seconds": fetched - began, "mib": peak}))


if __name__ == "__main__":
    main()
