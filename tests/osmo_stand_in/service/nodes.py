"""Machines of a pool's platforms: how they are listed, and the table with which OSMO refuses what none of them has."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from osmo_stand_in.service import rules

GIB = 2.0**30


def resources(pools: Mapping[str, Any], wanted: Sequence[str], kinds: Sequence[str]) -> Iterator[dict[str, Any]]:
    """The machines of `wanted` pools, and of `kinds` of machines if there are any, as `GET api/resources` has them."""
    for name, pool in pools.items():
        for kind, platform in pool["platforms"].items():
            node = platform.get("node")
            if node and name in wanted and (not kinds or kind in kinds):
                yield {
                    "hostname": f"node-{kind}",
                    "exposed_fields": exposed(name, kind, node),
                    "taints": [],
                    "usage_fields": {},
                    "conditions": None,
                    "allocatable_fields": {key: str(value) for key, value in node.items()},
                    "backend": pool["backend"],
                    "pool_platform_labels": {name: [kind]},
                    "resource_type": "SHARED",
                }


def exposed(pool: str, kind: str, node: Mapping[str, Any]) -> dict[str, Any]:
    """What is shown of a machine: sizes are whole GiB, and all are texts."""
    sizes = {name: str(int(rules.size(str(node[name]), name) / GIB)) for name in ("storage", "memory")}
    told = {"storage": sizes["storage"], "cpu": str(node["cpu"]), "memory": sizes["memory"]}
    return {"node": f"node-{kind}", "pool/platform": [f"{pool}/{kind}"], **told, "gpu": str(node.get("gpu", 0))}


def table(fields: Mapping[str, Any], reason: str) -> str:
    """As texttable draws it: columns three spaces apart, the last one padded in the header alone."""
    row = {**{name: str(value) for name, value in fields.items()}, "cuda-driver": "-", "reason": reason}
    widths = [max(len(name), len(cell)) for name, cell in row.items()]
    header, cells = (
        "   ".join(text.ljust(width) for text, width in zip(texts, widths, strict=True))
        for texts in (row, row.values())
    )
    return "\n".join([header, "=" * len(header), cells.rstrip()])
