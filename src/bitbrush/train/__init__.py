"""Training: data, optimisers and recipes."""
