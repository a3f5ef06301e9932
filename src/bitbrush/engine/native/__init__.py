"""What the kernels do: Python that Numba compiles for this CPU, and that nobody else runs.

Importing it takes Numba, whose compiler takes 65 MB. So nothing does but `Kernel`, where a kernel
is not compiled yet.
"""
