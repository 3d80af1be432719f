"""Runs and reports on a terminal.

strip         a curve drawn in characters
summary       one run: figures, gradient, verdict
listing       runs as a list
comparison    groups compared
"""
