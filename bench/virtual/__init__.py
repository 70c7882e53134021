"""Simulated machines in virtual time, under the real dispatcher and balancers.  Used by ``bench/simulate.py``."""
