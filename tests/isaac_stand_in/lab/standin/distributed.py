"""`--distributed` without GPUs: rsl_rl and skrl ask for NCCL and a CUDA device, and get gloo and the CPU."""

import os

import torch


def use_gloo():
    """Have every process group use gloo. To be called before rsl_rl or skrl is imported."""
    if int(os.getenv("WORLD_SIZE", "1")) == 1:
        return
    begin = torch.distributed.init_process_group

    def init_process_group(backend=None, **keywords):
        return begin("gloo", **keywords)

    torch.distributed.init_process_group = init_process_group
    torch.cuda.set_device = lambda device: None


def make_runner_on_cpu(runner):
    """Return a class of rsl_rl's runner that takes the CPU for the device of its rank."""

    class Runner(runner):
        def _configure_multi_gpu(self):
            self.device = f"cuda:{os.getenv('LOCAL_RANK', '0')}" if int(os.getenv("WORLD_SIZE", "1")) > 1 else "cpu"
            super()._configure_multi_gpu()
            self.device = "cpu"

    return Runner
