"""Figures, drawn by Matplotlib without a screen."""
