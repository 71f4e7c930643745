"""A fleet on a Ray cluster: replicas are actors, messages travel by exchange links."""
