"""Many runs: chosen, grouped and measured. No torch.

conditions    conditions on runs, such as task.length >= 100
run_names     names of runs that are shown together
group_keys    the settings that distinguish runs
axes          settings and parts along which groups differ
measured      one run's gradient at one update, in figures
repetitions   of several runs of one identity the one that counts
probe_series  what probes measured of a group
theory_lines  what theory says of runs, beside their curve
group         one group of runs, and its figures at one update
groups        runs in groups of equal settings but for the seed
distinct      groups that are different measurements
pairs         groups compared two by two, seed by seed
collection    Runs: many runs, and their readings in one frame
suggestions   which of many runs can be compared
select        the runs that a command line names
"""
