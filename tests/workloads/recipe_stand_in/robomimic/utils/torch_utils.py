"""Stands for robomimic's choice of a device."""


def get_torch_device(try_to_use_cuda):
    return "cpu"
