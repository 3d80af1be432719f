"""Runs and reports on a terminal.

strip         a curve drawn with characters
probe_lines   what the probes of a run measured
summary       one run: figures, gradient, verdict
listing       runs as a list
probed        what probes measured without a training
probe_comparison  what the probes of groups measured
comparison    groups side by side
"""
