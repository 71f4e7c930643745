"""What plays the world around a fleet: workloads for rehearsals, demos and benchmarks."""
