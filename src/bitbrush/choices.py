"""Names of what can be chosen where a network runs; it imports nothing."""

ENGINES = ("auto", "float", "packed")
"""How one-bit layers are computed: in floats, or on packed bits."""

PRECISIONS = ("auto", "float32", "bf16", "int8", "low-bit")
"""What the packed engine computes the gradient to the image in."""

DEVICES = ("cpu", "cuda", "mps")
"""Where to compute."""
