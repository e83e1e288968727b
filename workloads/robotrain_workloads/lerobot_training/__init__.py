"""What the programs share that train with LeRobot; evaluations do not carry it."""
