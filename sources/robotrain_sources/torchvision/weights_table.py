"""Weights of torchvision: by name, the address and the SHA-256, as far as it is known.

torchvision tells addresses and the first 8 digits, public records the others. A slow test compares them.
"""

from collections.abc import Mapping

WEIGHTS: Mapping[str, tuple[str, str]] = {
    "ResNet18_Weights.IMAGENET1K_V1": (
        "https://download.pytorch.org/models/resnet18-f37072fd.pth",
        "f37072fd47e89c5e827621c5baffa7500819f7896bbacec160b1a16c560e07ec",
    ),
    "ResNet18_Weights.DEFAULT": (
        "https://download.pytorch.org/models/resnet18-f37072fd.pth",
        "f37072fd47e89c5e827621c5baffa7500819f7896bbacec160b1a16c560e07ec",
    ),
    "ResNet34_Weights.IMAGENET1K_V1": (
        "https://download.pytorch.org/models/resnet34-b627a593.pth",
        "b627a593bcbe140c234610266fe4f8ae95ea42fc881d091c9b6052e6b1d0590f",
    ),
    "ResNet34_Weights.DEFAULT": (
        "https://download.pytorch.org/models/resnet34-b627a593.pth",
        "b627a593bcbe140c234610266fe4f8ae95ea42fc881d091c9b6052e6b1d0590f",
    ),
    "ResNet50_Weights.IMAGENET1K_V1": (
        "https://download.pytorch.org/models/resnet50-0676ba61.pth",
        "0676ba61b6795bbe1773cffd859882e5e297624d384b6993f7c9e683e722fb8a",
    ),
    "ResNet50_Weights.IMAGENET1K_V2": (
        "https://download.pytorch.org/models/resnet50-11ad3fa6.pth",
        "11ad3fa62ca79e40addfd354a8ec4b7c75143b3038b8d2a807fbc68deab379ca",
    ),
    "ResNet50_Weights.DEFAULT": (
        "https://download.pytorch.org/models/resnet50-11ad3fa6.pth",
        "11ad3fa62ca79e40addfd354a8ec4b7c75143b3038b8d2a807fbc68deab379ca",
    ),
    "ResNet101_Weights.IMAGENET1K_V1": (
        "https://download.pytorch.org/models/resnet101-63fe2227.pth",
        "63fe2227b86e8f1f2063f43a75c84d195911b6a0eace650907dd3dc62dd49a0a",
    ),
    "ResNet101_Weights.IMAGENET1K_V2": (
        "https://download.pytorch.org/models/resnet101-cd907fc2.pth",
        "cd907fc2a0de2292b2ba2b27d2216bc672d84632d1cf20058d01c0c03b5e020e",
    ),
    "ResNet101_Weights.DEFAULT": (
        "https://download.pytorch.org/models/resnet101-cd907fc2.pth",
        "cd907fc2a0de2292b2ba2b27d2216bc672d84632d1cf20058d01c0c03b5e020e",
    ),
    "ResNet152_Weights.IMAGENET1K_V1": (
        "https://download.pytorch.org/models/resnet152-394f9c45.pth",
        "394f9c45966e3651a89bbb78a48410a6755854ce4a5ab64927cf1c7247f85e58",
    ),
    "ResNet152_Weights.IMAGENET1K_V2": (
        "https://download.pytorch.org/models/resnet152-f82ba261.pth",
        "f82ba261",
    ),
    "ResNet152_Weights.DEFAULT": (
        "https://download.pytorch.org/models/resnet152-f82ba261.pth",
        "f82ba261",
    ),
}
