"""From flags, environment and files to a blueprint, with faults that point at a line."""
