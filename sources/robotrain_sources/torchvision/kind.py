"""The source kind `torchvision`: weights that torchvision downloads by name."""

import re
from collections.abc import Iterable

from robotrain.model.source import Pinning, RoleFlag, SourceKind
from robotrain.model.support import ANY, no
from robotrain.plugins.hookspecs import hook

from robotrain_sources.torchvision import reference

KIND = SourceKind(
    name=reference.TorchvisionWeights.kind,
    title="weights of torchvision",
    form=reference.FORM,
    example="ResNet18_Weights.IMAGENET1K_V1",
    help="Weights of torchvision, from download.pytorch.org.",
    roles={
        "backbone": RoleFlag(
            "--backbone-weights",
            help="Weights of torchvision that the cameras' network starts from; the job brings those that the policy's "
            "options name.",
        ),
    },
    recognizes=lambda text: bool(re.fullmatch(r"\s*[A-Za-z0-9_]+_Weights\.[A-Za-z0-9_]+\s*", text)),
    parse=lambda text, base: reference.parse_weights(text),
    container_plugin="robotrain_sources.torchvision.fetch",
    unsupported={ANY: no("The job downloads them.", "--backbone-path FILE.pth")},
    pinning=Pinning.from_module(lambda: reference),
)


@hook
def robotrain_source_kinds() -> Iterable[SourceKind]:
    """Return the source kind."""
    return (KIND,)
