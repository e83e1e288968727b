"""Programs that Isaac Lab's own Python runs: each stands alone, without robotrain's packages."""
