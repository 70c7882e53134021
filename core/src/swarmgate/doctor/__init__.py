"""``gateway doctor``: looks at everything that has to be right, and says of each fault what to do."""
