"""What a job says about the cache of decoded frames, for the launcher. Standard library only."""

from robotrain_runtime.machine.disk_cache import GIB

from robotrain_workloads.lerobot.job import LerobotJob

OFF = "off"
GB = 10**9


def make_settings(job: LerobotJob) -> dict[str, object]:
    """Return the folder of the cache, `on` or `auto`, and a limit in bytes or None; empty if no frames are kept."""
    mode, size = job.parameters["frame_cache"], job.parameters["frame_cache_size"]
    if mode == OFF:
        return {}
    placement = job.document.placement
    limits = [round(size * GB)] if size else []
    if placement.cache_gib is not None:
        limits.append(round(placement.cache_gib * GIB))
    return {"cache": placement.cache, "mode": mode, "limit": min(limits, default=None)}
