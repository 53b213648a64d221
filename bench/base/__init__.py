"""What every room may use: errors, files, seeds, validation, devices, the settings of a run, the registry of parts."""
