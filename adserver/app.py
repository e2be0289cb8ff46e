"""The composition root: the only place that wires settings, engines and snapshots together."""

from adserver.edge import json_response, vast_response

FRAGMENTS = {
    json_response.VARIANT_FRAGMENT: json_response.variant_fragment,
    vast_response.VARIANT_FRAGMENT: vast_response.variant_fragment,
}
"""What a snapshot prepares per variant."""
MEDIA_FRAGMENTS = {
    json_response.MEDIA_FRAGMENT: json_response.media_fragment,
    vast_response.MEDIA_FRAGMENT: vast_response.media_fragment,
}
"""What a snapshot prepares per media file."""
