"""What is sent: the options, script and plan of a batch job."""
