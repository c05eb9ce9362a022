"""Screenshots of TensorBoard, as the course asks.

``make captures`` takes them; the report shows those that are there and still true to the runs.
"""

from eurosat_lib.captures.album import Capture, find_captures
from eurosat_lib.captures.views import VIEWS, View, list_views

__all__ = ["VIEWS", "Capture", "View", "find_captures", "list_views"]
