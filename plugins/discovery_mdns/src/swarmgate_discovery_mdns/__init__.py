"""Members of a swarm find each other on a LAN by multicast DNS."""
