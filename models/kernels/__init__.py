"""The optimised core: one file per likelihood family, importing only math, numpy and numba."""
