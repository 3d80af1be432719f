"""One run on disk, written and read. No torch.

folder     a run's folder: its file names, its run.json, its beginning and end
columns    the columns of the two CSV files
writers    the CSV files, written
readers    the CSV files, read
store      what is remembered of runs under .rnnlab/
cache      readings and configs from the store
grids      readings as grids: updates x lags
run        Run: settings, metrics, gradients, verdict
index      the runs of a folder, by what they are
claims     who is training what
"""
