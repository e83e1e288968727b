"""The lock of a database file of MLflow is open to those whom the database is open to."""

import stat

import pytest
from robotrain_runtime.contract import files


@pytest.mark.parametrize("mode", [0o600, 0o664])
@pytest.mark.parametrize("before", [None, 0o666])
def test_the_lock_of_a_database_has_its_mode(tmp_path, mode, before):
    database, lock = tmp_path / "mlflow.db", tmp_path / "mlflow.db.lock"
    for file, bits in ((database, mode), (lock, before)):
        if bits is not None:
            file.touch()
            file.chmod(bits)
    with files.hold_lock_beside(database):
        assert stat.S_IMODE(lock.stat().st_mode) & ~mode == 0
