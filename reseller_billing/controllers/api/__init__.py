"""What metering systems and scripts call. Uses the models of usage, gate and portal."""

from . import (
    answer,
    authorize,
    openapi,
    portal_api,
    usage,
)
