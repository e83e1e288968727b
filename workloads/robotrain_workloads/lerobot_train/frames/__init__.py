"""Frames of videos that were decoded once: kept on the disk, and read from there in later epochs and runs."""
