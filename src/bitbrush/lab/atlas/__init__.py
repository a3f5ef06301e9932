"""Activation atlas: what the vectors at a tap stand for, laid out as a map.

Source: Carter et al. 2019 (Activation Atlas).
"""
