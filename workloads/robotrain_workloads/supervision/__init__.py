"""What runs beside a program that robotrain did not write: its environment, its processes, what they report."""
