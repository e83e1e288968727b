"""Source kinds that only an Azure ML workspace knows."""
