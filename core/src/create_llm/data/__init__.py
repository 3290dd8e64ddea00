"""Documents → train/validation split → token shards → samples, and the order of samples."""
