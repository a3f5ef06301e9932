"""Measuring: what `bitbrush bench` runs, each figure a ratio of times from one run."""
