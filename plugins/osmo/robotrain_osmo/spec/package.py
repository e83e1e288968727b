"""Files that `robotrain render --to` adds to a plan of a workload that has a configuration file of its own: the
workflow, the values of the job as that file, a README.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any

from robotrain_runtime.contract import plugin_loader
from robotrain_runtime.contract.document import DOCUMENT_FILE, JobDocument, parse_document

if TYPE_CHECKING:
    from robotrain.model.plan import Plan
    from robotrain.model.workload import Workload

INPUT_FOLDER = "/osmo/data/input"
"""Where OSMO puts the inputs of a task, by their numbers."""
WORKFLOW, CONFIG, README = "osmo-workflow.yaml", "osmo-config.yaml", "README.md"
EXAMPLE_IMAGE = "registry.example/team/{}:1"
CONFIG_HEADER = """\
# The job of osmo-workflow.yaml, with the paths of its container: the documents of ${workload} explain each key.
#   data          ${data}
#   checkpoints   ${checkpoints}
# The workflow has these values already. Another training reads them with --config ${config}
"""


def make_files(plan: Plan, settings: Mapping[str, Any], workload: Workload) -> dict[str, bytes]:
    """Return the files by name; none for a workload without a configuration file of its own.

    :param settings: those of the platform, by name.
    """
    if workload.format_config is None:
        return {}
    document = parse_document(plan.files[DOCUMENT_FILE].decode())
    plugin = plugin_loader.load_workload_plugin(document)
    blob_options = [f"--blob-url {shlex.quote(source.uri)}" for source in plan.job.sources if source.kind == "blob_url"]
    name, _, key = str(settings.get("blob_credential") or "").partition(":")
    facts = {
        "workload": plan.job.workload,
        "config": CONFIG,
        "run": plan.run,
        "data": _find_data_folder(document),
        "checkpoints": str(plugin.checkpoints(document, Path(document.placement.work)) or ""),
        "source": blob_options[0]
        if blob_options
        else "--blob-url https://ACCOUNT.blob.core.windows.net/CONTAINER/PREFIX",
        "image": str(settings.get("image") or EXAMPLE_IMAGE.format(plan.job.workload)),
        "pool": str(settings["pool"]),
        "gpu_platform": str(settings["gpu_platform"]),
        "credential": name or "azure_cred",
        "key": key or "azure_storage_key",
    }
    config = Template(CONFIG_HEADER).substitute(facts) + workload.format_config(document, facts["data"])
    return {
        WORKFLOW: plan.files[plan.spec],
        CONFIG: config.encode(),
        README: Template(README_TEXT).substitute(facts).encode(),
    }


def _find_data_folder(document: JobDocument) -> str:
    """Return the folder in the container below which all data is."""
    mounts = [mount.folder for mount in document.placement.mounts if mount.role == "dataset"]
    fetched = sum(source.role == "dataset" for source in document.sources) > len(mounts)
    input_numbers = [match[0] for folder in mounts if (match := re.search(r"\d+(?=\}$)", folder))]
    if fetched:
        return f"{document.placement.cache}/data"
    return f"{INPUT_FOLDER}/{input_numbers[0]}" if len(input_numbers) == 1 else INPUT_FOLDER


README_TEXT = """\
# $workload on OSMO

The training `$run`, written by `robotrain render --to`: nothing was sent, and no image was built. `osmo-workflow.yaml`
is the workflow as `robotrain submit` sends it, `osmo-config.yaml` has the settings of the training.

```sh
# an image with the environment, for `render --image`; without it the task builds the environment when it starts
robotrain image $workload --from nvcr.io/nvidia/pytorch:25.12-py3 --to image
docker build -t $image image && docker push $image

# with --blob-credential, the key of the storage account, which is in no file of this folder; else the task reads and
# writes blobs with the workload identity of its pod
osmo credential set $credential --type GENERIC --payload-file $key=/path/to/file

# an OSMO service at 192.168.1.100
osmo login http://192.168.1.100
robotrain submit --plan .
robotrain watch

# the plan is for the platform $gpu_platform of the pool $pool; for another one:
robotrain render $workload --platform osmo --config $config $source \\
  --pool gpu-pool --gpu-platform dgx-a100 --to ../dgx-a100

# the same workflow, without checks, uploads and a record of the run
osmo workflow submit osmo-workflow.yaml --pool $pool
```

Checkpoints are in `$checkpoints` of the container, whose disk is deleted when the run ends: `--publish-url URL` copies
each to storage meanwhile.
"""
