"""The child process: trio and py-libp2p, and nothing of the gateway's own loop."""
