"""Sources that only a workspace of Azure ML knows."""
