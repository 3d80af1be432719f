"""From a config to a finished run.

device         where a training runs: the device, the scan and the number format of products
optim          torch.optim over a stack of replicas
sizes          the sizes of what trains together
memory         the memory that a training will take
room           whether the machine has so much
slow_message   a message about work that takes long
detach         the draws of h-detach
penalised      the gradient of the loss and of a penalty together
fleet          R networks of one shape that train together
plan           what a run will take; which updates are logged
start          how a run begins, and what its run.json says from the start
checkpoints    what a run needs to go on: written, checked and read
recorder       one run being written
loop           the only training loop
probing        probes without a training
rows           whether the rows of a run are those of its schedule
verify         whether the files of a run are whole, and what restores them
rerun          a run trained again and compared
"""
