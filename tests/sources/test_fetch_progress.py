"""How much there is, in words."""

import pytest
from robotrain_sources.fetching import files


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
    assert files.format_size(count) == read
