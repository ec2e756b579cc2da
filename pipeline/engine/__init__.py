"""Where the tasks of a stage run: on this machine, on Dask or on Ray."""
