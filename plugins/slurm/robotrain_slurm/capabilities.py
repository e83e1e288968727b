"""What Slurm supports, and hints for options of other tools."""

from collections.abc import Mapping

from robotrain.model.capabilities import Capabilities
from robotrain.model.support import ANY, YES, Support, no
from robotrain.run_folder.settings import NO_TRACKING

from robotrain_slurm.spec.managed_options import ONE_NODE, SAME_NAMES, list_managed_options

NODE_ROLES = ("dataset", "policy", "reference", "init_policy", "checkpoint", "resume", "backbone", "scenes", "publish")
"""Roles that the node fetches or writes with a source kind's container plugin, which is sent with the job."""
FEATURES = (
    "publish_folder multi_gpu multi_node mixed_precision several_datasets wandb stream_logs cancel adopt notify"
    " native_dag native_sweep"
)
CANCEL_COMMAND = "scancel {job}"
CAPABILITIES = Capabilities(
    sources={
        **{("dataset", kind): YES for kind in ("local_path", "huggingface", "blob_url")},
        **{(role, one): YES for role in ("policy", "reference") for one in ("local_path", "huggingface", "blob_url")},
        **{(role, kind): YES for role in ("checkpoint", "resume") for kind in ("local_path", "blob_url")},
        **{(role, "huggingface"): YES for role in ("resume", "publish")},
        **{("backbone", kind): YES for kind in ("huggingface", "local_path", "blob_url", "torchvision")},
        **{("scenes", kind): YES for kind in ("huggingface", "local_path", "blob_url")},
        **{("code", kind): YES for kind in ("local_path", "git")},
        **{(role, ANY): YES for role in NODE_ROLES},
    },
    workloads={ANY: YES},
    features={
        **dict.fromkeys((*FEATURES.split(), "shell", "forward"), YES),
        "tracking": Support("yes", "With --tracking-uri."),
        "register_model": Support("yes", "With --tracking-uri."),
        "runs_here": no("It runs on a node of the cluster.", "--platform local"),
    },
    required_settings={"tracking": "tracking_uri", "register_model": "tracking_uri"},
    disabled_by=dict.fromkeys(("tracking", "register_model"), ("tracking_uri", NO_TRACKING)),
)
_OTHER_OPTIONS = (
    "mem-per-cpu mem-per-gpu cpus-per-gpu reservation nodelist begin mail-type mail-user licenses nice hint wckey"
    " switches deadline"
)
_HINTS = {
    **{f"--{name}": f"use --sbatch {name}=VALUE" for name in _OTHER_OPTIONS.split()},
    "--exclusive": "use --sbatch exclusive",
    "--hold -H": "use --sbatch hold",
    "-w": "use --sbatch nodelist=VALUE",
    "-p": "use --partition NAME",
    "-A": "use --account NAME",
    "-q": "use --qos NAME",
    "-t": "use --time TIME",
    "-c": "use --cpus N",
    "-C": "use --constraint FEATURES",
    "-x": "use --exclude NODES",
    "-N -n": ONE_NODE,
    "--gres --gpu": "use --gpus N, and --gpu-type TYPE",
    "--cpu --num-cpus": "use --cpus N",
    "--storage-account --storage-container": "only for clouds: nodes read folders of a disk that they share",
    "--disk --disk-size": "not needed: a run takes what it needs of --runs-dir and --cache-dir",
    "--timeout --time-limit --walltime --exec-timeout": "use --time TIME",
    "--pool --compute --instance-type --gpu-platform": "use --partition NAME",
    "--use-local-osmo": "only for OSMO: jobs are sent with the command `sbatch`",
    "--priority": "use --qos NAME",
    "--ssh --host --login-node --remote": "use --login USER@HOST",
    "--slurm": "each option has its own setting, such as --partition; any other: --sbatch NAME=VALUE",
    "--modules": "use --module NAME",
    "--folder --cache-folder": "use --runs-dir FOLDER and --cache-dir FOLDER",
    "--environment-name --environment-version": "use --environment PATH, or --container pyxis --image IMAGE",
    "--hf-token --hf-credential": "a job never contains a token: use --hub-token-file FILE",
    "--blob-credential": "use --blob-credential-file FILE",
    "--mlflow-tracking-uri": "use --tracking-uri URI",
    "--tag --tags --label --labels": "use --note TEXT",
    "--dataset-root DATASET_ROOT": "not needed: a dataset of the shared disk is read in place",
}
OPTION_HINTS: Mapping[str, str] = {
    **{f"--{name}": substitute for name, substitute in list_managed_options().items() if name not in SAME_NAMES},
    **{option: hint for options, hint in _HINTS.items() for option in options.split()},
}
