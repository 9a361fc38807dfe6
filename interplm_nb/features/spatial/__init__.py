"""Whether a feature's activation is arranged in space: `spatial_test`."""
