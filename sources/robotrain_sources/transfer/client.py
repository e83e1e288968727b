"""How the stores of origins speak HTTP: patient, as the transfer itself sees to requests that stall or fail."""

from collections.abc import Mapping
from typing import Any

OPTIONS: Mapping[str, str] = {
    "connect_timeout": "10s",
    "read_timeout": "60s",
    "timeout": "1h",  # of a whole body, which may take long on a narrow line
    "pool_max_idle_per_host": "64",
    "pool_idle_timeout": "60s",
}
"""`client_options` of an obstore store."""

RETRIES: Mapping[str, Any] = {"max_retries": 0}
"""`retry_config` of an obstore store."""
