"""How large plans are: the native spec of each platform and the payload in it, for a training and an evaluation.

./uvw run python bench/plan_size.py
"""

import robotrain.api

BLOBS = [f"https://acct.blob.core.windows.net/set/{day}" for day in "abc"]
WORKSPACE = {"subscription_id": "s", "resource_group": "g", "workspace_name": "w"}
PLATFORMS = {
    "local": {},
    "osmo": {"pool": "p", **WORKSPACE},
    "azureml": {"compute": "gpu-cluster", **WORKSPACE},
}
WORKLOADS = {
    "lerobot-train": {"blob_url": BLOBS},
    "lerobot-eval": {"blob_url": BLOBS, "policy_repo_id": "lerobot/act_pusht", "env": "pusht"},
}


def main() -> None:
    """A line for each."""
    print(f"{'workload':<15} {'platform':<9} {'spec':>10} {'all files':>10}")
    for workload, job in WORKLOADS.items():
        for platform, settings in PLATFORMS.items():
            plan = robotrain.api.render(workload=workload, platform=platform, **job, **settings)
            whole = sum(map(len, plan.files.values()))
            print(f"{workload:<15} {platform:<9} {len(plan.files[plan.spec]):>10,} {whole:>10,}")


if __name__ == "__main__":
    main()
