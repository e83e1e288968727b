"""Write sources/robotrain_sources/torchvision/weights_table.py: the weights of torchvision that LeRobot can start from.

Run by the Python of a locked training environment.

    ENVIRONMENT/bin/python .ci/export_torchvision.py [FILE.pth…]

torchvision tells names, addresses and the first 8 digits of each SHA-256. The whole digest is that of a given file
whose first digits fit, else that of the table so far. `--check`: only say whether the table is stale.
"""

import hashlib
import re
import runpy
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torchvision

MODULE = Path(__file__).resolve().parents[1] / "sources/robotrain_sources/torchvision/weights_table.py"
NETWORKS = (18, 34, 50, 101, 152)
"""Of ResNet, the networks that LeRobot takes."""
HEAD = '''"""Weights of torchvision: by name, the address and the SHA-256, as far as it is known.

`.ci/export_torchvision.py` writes this module: torchvision tells the first 8 digits, public records the others.
"""

from collections.abc import Mapping

WEIGHTS: Mapping[str, tuple[str, str]] = {
'''


def list_rows(digests: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    """Yield name, address and digest of each of the weights."""
    for number in NETWORKS:
        weights: Any = getattr(torchvision.models, f"ResNet{number}_Weights")
        named = [*((one.name, one.url) for one in weights), ("DEFAULT", weights.DEFAULT.url)]
        for name, url in named:
            match = re.search(r"-([0-9a-f]{8,})\.pth$", url)
            assert match, url
            known = next((one for one in digests if one.startswith(match[1])), match[1])
            yield f"{weights.__name__}.{name}", url, known


def main(arguments: Sequence[str]) -> None:
    """Write the module, or compare it."""
    before = MODULE.read_text(encoding="utf-8") if MODULE.exists() else ""
    table = runpy.run_path(str(MODULE))["WEIGHTS"] if before else {}
    files = [hashlib.sha256(Path(one).read_bytes()).hexdigest() for one in arguments if one != "--check"]
    digests = [*files, *(digest for _, digest in table.values())]
    row = '    "{}": (\n        "{}",\n        "{}",\n    ),\n'
    text = f"{HEAD}{''.join(row.format(*one) for one in list_rows(digests))}}}\n"
    if "--check" in arguments:
        sys.exit(0 if text == before else f"{MODULE} is stale")
    MODULE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
