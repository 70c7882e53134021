"""Lends this machine to llama.cpp elsewhere, and asks others for theirs."""
