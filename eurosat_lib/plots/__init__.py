"""Every figure, made outside pyplot: French labels with units, an alt text with the numbers."""
