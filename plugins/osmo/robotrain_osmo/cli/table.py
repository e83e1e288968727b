"""What OSMO says, and what it means: one row a cause, the first that fits counts.

The texts are those of OSMO 6.0 to 6.4, its command and its service.
"""

from robotrain_osmo.cli import table_request, table_service
from robotrain_osmo.cli.row import Row

ROWS: tuple[Row, ...] = (
    *table_service.CONNECTION,
    *table_service.SIGN_IN,
    *table_service.VERSIONS,
    *table_request.ROWS,
    *table_service.SERVICE,
    *table_service.STORAGE,
)
