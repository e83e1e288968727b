"""The source kind earlier_source of robotrain."""
