"""Work on shards of whole proteins, in this process or on a Dask cluster (docs/cluster.md)."""
