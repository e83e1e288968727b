"""How much there is, in words."""

import pytest
from robotrain_runtime.contract.files import format_size


@pytest.mark.parametrize(
    ("count", "read"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1000, "1.0 kB"),
        (999_000, "999.0 kB"),
        (10**9, "1.0 GB"),
        (10**16, "10000.0 TB"),
    ],
)
def test_bytes_as_people_read_them(count, read):
    assert format_size(count) == read
