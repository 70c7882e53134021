"""The process that runs py-libp2p, on trio: it may die at any time, and another takes its place."""
