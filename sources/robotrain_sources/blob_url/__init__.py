"""A folder of blobs in Azure Storage, by its address."""
