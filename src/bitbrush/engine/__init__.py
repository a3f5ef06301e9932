"""Frozen networks whose one-bit layers run on packed bits."""
