"""Documents to token shards on the disk, part by part, whatever interrupts it."""
