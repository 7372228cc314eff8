"""Numba kernels: plain arrays in, results in the last argument, nothing else.

A kernel knows no files, classes or exceptions and checks nothing: its callers
pass arrays of the shape and dtype that its three-line docstring names.
"""
