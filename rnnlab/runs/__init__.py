"""One run on disk, written and read. No torch.

seals              the length and hash of a file
checkpoint_file    the checksum at the end of a checkpoint
run_keys           the keys of run.json, and what their values may be
run_json           the file run.json, with the status of a run
remains            hidden names of folders, and what killed processes leave
folder             a run's folder: its file names, its beginning and end
columns            the columns of the two CSV files
writers            the CSV files, written
readers            the CSV files, read
run_config         the config.yaml of a run, read back
hidden             which files under .rnnlab/ can be used
store              values read from runs, kept under .rnnlab/
cache              readings and configs from the store
grids              readings as grids: updates x lags
run                Run: settings, metrics, gradients, verdict
index              the runs of a folder, with status and identity
claims             which process is training which run
"""
