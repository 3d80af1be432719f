"""Stacked parameters of R replicas, and where the loss reads them.

flat_rows    compiled loops over such rows
flat         all parameters of a replica in one row, and their gradient
network      input, layers of one cell, read-out
objective    where the loss is, and what it is
"""
