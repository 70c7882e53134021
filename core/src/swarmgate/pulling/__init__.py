"""Models brought into the models folder: from a hub, from the web, or from elsewhere on this machine."""
