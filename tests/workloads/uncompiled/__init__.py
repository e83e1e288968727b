"""A training imports this by `discover_packages_path`: PyTorch compiles nothing, so FlexAttention learns on a CPU."""

import torch

torch._dynamo.config.disable = True
