"""Isaac Lab's train and play scripts without a simulator: a cart-pole in torch; the rest is real.

Real are the command line, Hydra, rsl_rl (3.1 and 5.4) and skrl (1.4 and 2.1). Nothing here runs in the product's
interpreter: only in the environments of `isaac_stand_in.environments`.
"""
