"""Opens sources with the modules that their kinds name."""

import importlib
from typing import cast

from robotrain_sources.fetching.answer import Refused
from robotrain_sources.transfer.origin import Opening, Origin
from robotrain_sources.transfer.request import Asked


def opened(asked: Asked) -> Origin:
    """The source. Raises Refused."""
    try:
        kind = cast(Opening, importlib.import_module(asked.origin))
    except ImportError as error:
        raise Refused(f"{asked.origin} cannot be imported: {error}", "code") from error
    way = {"way": asked.way} if asked.way else {}
    return kind.open(asked.uri, asked.pin, asked.role, asked.credential, **way)
