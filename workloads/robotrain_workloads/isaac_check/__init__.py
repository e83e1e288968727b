"""What Isaac Lab says about the options of a job, on the machine that submits it: no job carries this package."""
