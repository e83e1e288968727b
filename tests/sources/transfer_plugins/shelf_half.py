"""The half of a kind that only tests have: files on a server of this machine."""

CARRIER = "robotrain_sources.transfer.container"
ORIGIN = "shelf_origin"
