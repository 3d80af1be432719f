"""Many runs carried out: what is missing is trained, and nothing twice.

file        what a sweep is: from YAML to its runs
jobs        what an engine is given, and the events it gives back
packing     which runs train together, and what they cost
status      how the runs of a sweep stand in a folder
results     what is asked of a sweep, its events, and how it ends
engines     where fleets train: inline, local, ray
driver      the sweep itself
forecast    what a sweep will take
"""
