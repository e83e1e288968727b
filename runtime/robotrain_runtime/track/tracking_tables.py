"""Whether a database of this machine has MLflow's tables: then whoever comes need not wait until they are made."""

import sqlite3
from contextlib import closing
from pathlib import Path


def made(database: Path) -> bool:
    """Whether all are there: MLflow notes its first experiment once they are."""
    address = f"{database.absolute().as_uri()}?mode=ro"
    try:
        with closing(sqlite3.connect(address, uri=True)) as connection:
            return connection.execute("SELECT 1 FROM experiments LIMIT 1").fetchone() is not None
    except sqlite3.Error:
        return False
