"""Many runs: chosen, grouped and measured. No torch.

conditions    conditions on runs: task.length >= 100
run_names     how runs are called where several are shown
group_keys    the settings by which runs are told apart
measured      one run's gradient at one update, in figures
group         one group of runs, and its figures at one update
groups        runs in groups of equal settings but for the seed
pairs         groups compared two by two, seed by seed
collection    Runs: many runs, and their readings in one frame
select        which runs a command is about
"""
