"""Every figure of the report: each function returns a Matplotlib figure, made outside pyplot.

Each has French labels with units and an alt text with the numbers (its ``get_label()``); what it
shows is said by its caption.
"""
