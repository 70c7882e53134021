"""The process that runs py-libp2p, on trio: it may die at any time, and another takes its place."""

from swarmgate_transport_libp2p.child.curves import stand_in

stand_in()  # before anything here imports libp2p
