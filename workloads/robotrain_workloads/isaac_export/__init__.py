"""The workload `isaac-export`: policies of Isaac Lab as ONNX and TorchScript, played in simulation."""
