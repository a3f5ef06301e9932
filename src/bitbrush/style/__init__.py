"""Painting: statistics, losses, canvases and the loop."""
