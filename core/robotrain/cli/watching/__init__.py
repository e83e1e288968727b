"""Runs as they go on: asked, followed, drawn and told; what the commands of watching share."""
