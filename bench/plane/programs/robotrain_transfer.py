"""robotrain's way: its transfer, as a run uses it.

    python robotrain_transfer.py look|fetch CACHE URL…

Prints seconds of looking (signing in and listing among them) and of fetching, and the peak of memory.
"""

import json
import resource
import sys
import time
from pathlib import Path

from robotrain_runtime.contract.container_plugin import ContainerContext
from robotrain_runtime.contract.document import JobSource
from robotrain_sources.blob_url import fetch
from robotrain_sources.transfer import container as transfer_container


def main() -> None:
    """Look, and fetch if it is asked for."""
    what, cache, *urls = sys.argv[1:]
    sources = [JobSource(role="dataset", kind="blob_url", uri=url) for url in urls]
    context = ContainerContext(cache=Path(cache), log_line=lambda line: None)
    began = time.perf_counter()
    delivery = transfer_container.deliver(sources, {"blob_url": fetch}, context, {})
    surveys = delivery.survey()
    wrong = [sentence for survey in surveys for sentence in survey.problems]
    assert not wrong, wrong
    surveyed = time.perf_counter()
    if what == "fetch":
        delivery.fetch(lambda far: None)
    fetched = time.perf_counter()
    delivery.close()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"look": surveyed - began, "fetch": fetched - surveyed, "seconds": fetched - began, "mib": peak}))


if __name__ == "__main__":
    main()
