"""Many runs carried out: the missing ones are trained, and none twice.

file        the sweep file: from YAML to runs
jobs        the jobs that an engine takes, and the events that it reports
packing     which runs train together, and what they cost
status      the status of a sweep's runs in a folder
results     the options, events and result of a sweep
engines     where fleets train: inline, local, ray
fitting     fleets, and as many at once, as fit into the memory
orphans     runs that a killed sweep left in training
driver      trains the runs of a sweep
forecast    the time and disk space that a sweep will take
"""
