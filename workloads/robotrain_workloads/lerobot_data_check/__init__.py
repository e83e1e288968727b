"""Datasets compared with what a job trains and with its options, where it is sent from: no job carries this."""
