"""Experiments on top of painting: judging, comparing, searching."""
